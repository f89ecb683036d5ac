"""What Prometheus' own tool says of the same files: where it refuses one, so do we; where we alone do, we say why."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import trustme

from exporter.door.door import Door
from exporter.schema import InvalidError
from tests.exporter.door.place import hashed, write_pair

PAIR = "cert_file: cert.pem, key_file: key.pem"
IF_GIVEN = "client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.pem"
HEADERS = "X-Frame-Options: deny, Strict-Transport-Security: max-age=1"
VERIFY = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem"
SUITES = "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]"
SAME = {
    "empty": "",
    "an empty section": "tls_server_config: {}",
    "a pair": f"tls_server_config: {{{PAIR}}}",
    "no key": "tls_server_config: {cert_file: cert.pem}",
    "an absent file": "tls_server_config: {cert_file: absent.pem, key_file: key.pem}",
    "a key in the place of the certificate": "tls_server_config: {cert_file: key.pem, key_file: cert.pem}",
    "clients": f"tls_server_config: {{{PAIR}, {VERIFY}}}",
    "clients if they like": f"tls_server_config: {{{PAIR}, {IF_GIVEN}}}",
    "an authority and no policy": f"tls_server_config: {{{PAIR}, client_ca_file: ca.pem}}",
    "an unknown policy": f"tls_server_config: {{{PAIR}, client_auth_type: Sometimes}}",
    "versions": f"tls_server_config: {{{PAIR}, min_version: TLS12, max_version: TLS13}}",
    "an unknown version": f"tls_server_config: {{{PAIR}, min_version: TLS14}}",
    "suites": f"tls_server_config: {{{PAIR}, {SUITES}, prefer_server_cipher_suites: false}}",
    "an unknown suite": f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_NULL]}}",
    "a curve": f"tls_server_config: {{{PAIR}, curve_preferences: [CurveP256]}}",
    "an unknown curve": f"tls_server_config: {{{PAIR}, curve_preferences: [CurveP1]}}",
    "an unknown key": "tls_server: {}",
    "a key twice": "rate_limit: {}\nrate_limit: {}",
    "headers": f"http_server_config: {{http2: false, headers: {{{HEADERS}}}}}",
    "a header of others": "http_server_config: {headers: {Server: a}}",
    "a header that may not say that": "http_server_config: {headers: {X-Content-Type-Options: sniff}}",
    "users": f"basic_auth_users: {{alice: {hashed('a')}, bob: {hashed('b', 5)}}}",
    "a password": "basic_auth_users: {alice: hunter2}",
    "no mapping": "[]",
    "no YAML": "a: [",
}
OURS = {
    "old TLS": (f"tls_server_config: {{{PAIR}, min_version: TLS10}}", "RFC 8996"),
    "unverified clients": (f"tls_server_config: {{{PAIR}, client_auth_type: RequestClientCert}}", "cannot ask"),
    "every public authority": (
        f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert}}",
        "whom to trust",
    ),
    "several curves": (f"tls_server_config: {{{PAIR}, curve_preferences: [X25519, CurveP256]}}", "one curve"),
    "a hash that takes a day": (
        f"basic_auth_users: {{a: {hashed('a').replace('$04$', '$31$')}}}",
        "a cost from 4 to 16",
    ),
}

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool")


@pytest.fixture
def config(tmp_path: Path, ca: trustme.CA) -> Path:
    write_pair(tmp_path, ca)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "web.yml"


def is_taken_by_prometheus(path: Path) -> bool:
    done = subprocess.run(["promtool", "check", "web-config", path], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0


def refusal(path: Path) -> str:
    try:
        Door(path, lambda: 0.0).close()
    except InvalidError as invalid:
        return str(invalid)
    return ""


@needs_promtool
@pytest.mark.parametrize("case", SAME)
def test_both_say_the_same(config: Path, case: str) -> None:
    config.write_text(SAME[case])
    assert (refusal(config) == "") is is_taken_by_prometheus(config), refusal(config)


@needs_promtool
@pytest.mark.parametrize("case", OURS)
def test_what_we_alone_refuse_is_told(config: Path, case: str) -> None:
    text, why = OURS[case]
    config.write_text(text)
    assert is_taken_by_prometheus(config)
    assert why in refusal(config)
