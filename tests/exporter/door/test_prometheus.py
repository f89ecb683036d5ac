"""A real Prometheus scrapes through the door: over TLS, with a certificate of its own and a password."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import trustme

from tests.exporter.door.place import HOST, Place, hashed, write_pair
from tests.service import PATIENCE, wait_for

NAME = "prometheus.example.com"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def answer(port: int, query: str) -> str:
    """The value of a query that has one, "" where there is none yet."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={quote(query)}", timeout=PATIENCE) as found:
            rows = json.load(found)["data"]["result"]
    except (URLError, ConnectionError):
        return ""
    return rows[0]["value"][1] if rows else ""


@pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus")
@pytest.mark.parametrize(("password", "up"), [("right", "1"), ("wrong", "0")])
def test_prometheus_scrapes(place: Place, tmp_path: Path, ca: trustme.CA, password: str, up: str) -> None:
    write_pair(tmp_path, ca)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    client = ca.issue_cert(NAME)
    client.private_key_pem.write_to_path(tmp_path / "client.key")
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    (tmp_path / "web.yml").write_text(
        "tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_ca_file: ca.pem, "
        f"client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [{NAME}]}}\n"
        f"basic_auth_users: {{scraper: {hashed('right', 8)}}}\n"
    )
    place.open(tmp_path / "web.yml")
    (tmp_path / "prometheus.yml").write_text(
        f"""\
global: {{scrape_interval: 2s, scrape_timeout: 2s}}
scrape_configs:
  - job_name: mailstat
    scheme: https
    tls_config: {{ca_file: ca.pem, cert_file: client.pem, key_file: client.key, server_name: {HOST}}}
    basic_auth: {{username: scraper, password: {password}}}
    static_configs: [{{targets: ["127.0.0.1:{place.port}"]}}]
"""
    )
    port = free_port()
    arguments = (f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={tmp_path}/data")
    command = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", *arguments, "--log.level=error"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as prometheus:
        try:
            wait_for(lambda: answer(port, "up"))
            if up == "1":
                wait_for(lambda: answer(port, "mail_messages_in_flight") == "2", lambda: answer(port, "up"))
            assert answer(port, "max_over_time(up[1h])") == up
        finally:
            prometheus.terminate()
