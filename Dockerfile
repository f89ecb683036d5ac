ARG PYTHON_VERSION=3.13

# A wheel of the project, and an environment with it, what its extras need, and without pip.
FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY parsers parsers
COPY exporter exporter
COPY mailstat mailstat
COPY dashboards/rules dashboards/rules
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel . \
    && python -m venv --without-pip /opt/mailstat \
    && pip --python /opt/mailstat/bin/python install --no-cache-dir --no-compile "$(echo /wheel/*.whl)[dkim,posture,sink]" \
    && mkdir /state
# Some 60 MB of pyarrow are of no use here: its tests, headers, and its own ways to Flight and S3.
RUN cd /opt/mailstat/lib/python3*/site-packages/pyarrow \
    && rm -rf include tests *flight* *s3fs* libarrow_s3*
# Python's own library comes uncompiled: it would cost half of the time of each start, and three quarters of a health
# check. By hashes, for a layer rounds the times of its files.
RUN PYTHONPYCACHEPREFIX=/opt/mailstat/cache python -m compileall -q --invalidation-mode checked-hash \
    /usr/local/lib/python3* /opt/mailstat/lib/python3*

# The root file system may be read-only: only the state is written, where the exporter keeps it by default.
FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="mailstat" \
      org.opencontainers.image.description="Prometheus exporter and log analyzer that knows whether outbound mail gets through" \
      org.opencontainers.image.licenses="GPL-3.0-or-later"
ENV PATH="/opt/mailstat/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPYCACHEPREFIX=/opt/mailstat/cache \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1
COPY --from=build /opt/mailstat /opt/mailstat
COPY --from=build --chown=10001:10001 /state /var/lib/mailstat
VOLUME /var/lib/mailstat
USER 10001:10001
EXPOSE 9587
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9587/-/healthy', timeout=4)"]
ENTRYPOINT ["mailstat_exporter"]
