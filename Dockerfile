ARG PYTHON_VERSION=3.13

# A wheel of the project, and an environment with it and without pip.
FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY parsers parsers
COPY exporter exporter
COPY mailstat mailstat
COPY dashboards/rules dashboards/rules
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel . \
    && python -m venv --without-pip /opt/mailstat \
    && pip --python /opt/mailstat/bin/python install --no-cache-dir /wheel/*.whl \
    && mkdir /state

# The root file system may be read-only: only the state is written, where the exporter keeps it by default.
FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="mailstat" \
      org.opencontainers.image.description="Prometheus exporter and log analyzer that knows whether outbound mail gets through" \
      org.opencontainers.image.licenses="GPL-3.0-or-later"
ENV PATH="/opt/mailstat/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1
COPY --from=build /opt/mailstat /opt/mailstat
COPY --from=build --chown=10001:10001 /state /var/lib/mailstat
VOLUME /var/lib/mailstat
USER 10001:10001
EXPOSE 9587
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9587/-/healthy', timeout=4)"]
ENTRYPOINT ["mailstat_exporter"]
