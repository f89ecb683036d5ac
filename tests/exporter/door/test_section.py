"""What the web configuration may say, and how each mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.door.section import CIPHERS, CIPHERS_13, load_web_config
from exporter.schema import InvalidError
from tests.exporter.door.place import hashed

PAIR = "cert_file: c, key_file: k"
HASH = hashed("secret")


def errors(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "web.yml"
    path.write_text(text)
    with pytest.raises(InvalidError) as caught:
        load_web_config(path)
    assert all(error.startswith(f"{path}: ") for error in caught.value.errors)
    return [error.removeprefix(f"{path}: ") for error in caught.value.errors]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("tls_server_confg: {}", 'tls_server_confg: unknown key, did you mean "tls_server_config"?'),
        ("[]", "expected a mapping of tls_server_config, http_server_config, basic_auth_users, rate_limit, got an e"),
        ("tls_server_config: {min_version: TLS13}", "tls_server_config: cert_file: missing"),
        ("tls_server_config: {cert_file: c}", "tls_server_config: key_file: missing"),
        (
            "tls_server_config: {cert: PEM, key_file: k}",
            "tls_server_config: cert: certificates and keys stand in files of their own, name it as cert_file",
        ),
        (
            f"tls_server_config: {{{PAIR}, min_version: TLS10}}",
            "tls_server_config: min_version: TLS10 is refused: RFC 8996 ended it, and OpenSSL no longer speaks it",
        ),
        (f"tls_server_config: {{{PAIR}, max_version: TLS11}}", "tls_server_config: max_version: TLS11 is refused"),
        (
            f"tls_server_config: {{{PAIR}, min_version: TLS13, max_version: TLS12}}",
            "tls_server_config: min_version: is above max_version",
        ),
        (
            f"tls_server_config: {{{PAIR}, min_version: TLS1.2}}",
            'tls_server_config.min_version: expected one of TLS10, TLS11, TLS12, TLS13, got "TLS1.2", did you mean',
        ),
        (
            f"tls_server_config: {{{PAIR}, client_auth_type: RequireAnyClientCert}}",
            "tls_server_config: client_auth_type: Python's ssl cannot ask for a certificate without verifying it: "
            "RequireAndVerifyClientCert does",
        ),
        (
            f"tls_server_config: {{{PAIR}, client_auth_type: Whatever}}",
            "tls_server_config.client_auth_type: expected one of NoClientCert, ",
        ),
        (
            f"tls_server_config: {{{PAIR}, client_ca_file: ca}}",
            "tls_server_config: client_ca_file: no client is verified, client_auth_type has to be",
        ),
        (
            f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert}}",
            "tls_server_config: client_ca_file: missing, RequireAndVerifyClientCert needs to know whom to trust",
        ),
        (
            f"tls_server_config: {{{PAIR}, client_allowed_sans: [a]}}",
            "tls_server_config: client_allowed_sans: client_auth_type has to be RequireAndVerifyClientCert",
        ),
        (
            f"tls_server_config: {{{PAIR}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: c, "
            "client_allowed_sans: [a]}",
            "tls_server_config: client_allowed_sans: client_auth_type has to be RequireAndVerifyClientCert",
        ),
        (
            f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}}",
            'tls_server_config: cipher_suites: "TLS_RSA_WITH_RC4_128_SHA" is none of TLS_ECDHE_ECDSA_WITH_AES_',
        ),
        (
            f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_AES_128_GCM_SHA256]}}",
            "tls_server_config: cipher_suites: no suite of TLS 1.2 is left, so min_version has to be TLS13",
        ),
        (
            f"tls_server_config: {{{PAIR}, curve_preferences: [X25519, CurveP256]}}",
            "tls_server_config: curve_preferences: Python's ssl takes one curve, or none for OpenSSL's own order",
        ),
        (
            f"tls_server_config: {{{PAIR}, curve_preferences: [CurveP224]}}",
            'tls_server_config: curve_preferences: "CurveP224" is none of CurveP256, CurveP384, CurveP521, X25519',
        ),
        (
            "http_server_config: {headers: {X-Secret: a}}",
            'http_server_config: headers["X-Secret"]: cannot be set, expected one of Content-Security-Policy, ',
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: allow}}",
            'http_server_config: headers["X-Frame-Options"]: expected deny or sameorigin',
        ),
        (
            'http_server_config: {headers: {X-XSS-Protection: "a\\r\\nSet-Cookie: b"}}',
            'http_server_config.headers["X-XSS-Protection"]: expected a line of text',
        ),
        ("http_server_config: {headers: {X-XSS-Protection: 0}}", 'http_server_config.headers["X-XSS-Protection"]: '),
        ("http_server_config: {http2: maybe}", "http_server_config.http2: expected true or false"),
        (
            "http_server_config: {headers: [a]}",
            "http_server_config.headers: expected a mapping, from names to a line",
        ),
        ("rate_limit: {interval: 1s}", "rate_limit: burst: expected 1 or more, where there is an interval"),
        ("rate_limit: {interval: 1}", "rate_limit.interval: expected a duration such as 30s or 5m, got 1"),
        ("rate_limit: {interval: 1s, burst: -1}", "rate_limit.burst: expected a whole number from 0 to 1000000"),
        (
            "basic_auth_users: {alice: hunter2}",
            'basic_auth_users["alice"]: expected a bcrypt hash, as of htpasswd -nBC 10',
        ),
        ("basic_auth_users: {alice: 12345}", 'basic_auth_users["alice"]: expected a text in quotes'),
        ("basic_auth_users: {alice: null}", 'basic_auth_users["alice"]: expected a text in quotes'),
        ("basic_auth_users: [alice]", "basic_auth_users: expected a mapping, from names to a text in quotes each"),
        ("basic_auth_users: {1: a}", "basic_auth_users: expected a mapping, from names to a text in quotes each"),
        (f"basic_auth_users: {{'a:b': {HASH}}}", 'basic_auth_users["a:b"]: HTTP cannot tell a colon'),
        (
            f"basic_auth_users: {{a: {HASH.replace('$04$', '$31$')}}}",
            'basic_auth_users["a"]: expected a cost from 4 to 16, got 31',
        ),
        (f"basic_auth_users: {{a: {HASH}, a: {HASH}}}", 'line 1, column 85: the key "a" is there twice'),
    ],
)
def test_each_mistake_is_told_in_its_own_words(tmp_path: Path, text: str, error: str) -> None:
    (told,) = errors(tmp_path, text)
    assert told.startswith(error)


@pytest.mark.parametrize("secret", ["hunter2", HASH[:-1], HASH + "x", 12345])
def test_no_error_repeats_what_may_be_a_password(tmp_path: Path, secret: str | int) -> None:
    for text in (f"basic_auth_users: {{alice: {secret}}}", f"tls_server_config: {{key: {secret}}}"):
        assert str(secret) not in "".join(errors(tmp_path, text))


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    assert len(errors(tmp_path, "rate_limit: {burst: x}\nbasic_auth_users: {a: 1}\nhttp_server: {}")) == 3


@pytest.mark.parametrize("text", ["", "# nothing", "tls_server_config: {}", "basic_auth_users: {}", "rate_limit:"])
def test_an_empty_section_asks_for_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "web.yml"
    path.write_text(text)
    found = load_web_config(path)
    assert (found.tls, dict(found.users), found.limit.interval) == (None, {}, 0)


def test_a_file_of_the_toolkit_with_all_that_it_has(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(
        f"""\
tls_server_config:
  cert_file: server.crt
  key_file: /etc/ssl/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example.com]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [{", ".join((*CIPHERS, *CIPHERS_13))}]
  prefer_server_cipher_suites: true
  curve_preferences: [CurveP256]
http_server_config:
  http2: true
  headers:
    Strict-Transport-Security: max-age=31536000; includeSubDomains
    X-Frame-Options: deny
    X-XSS-Protection: ""
basic_auth_users:
  alice: {HASH}
rate_limit:
  interval: 1s
  burst: 20
"""
    )
    found = load_web_config(path)
    assert found.files() == [tmp_path / "server.crt", Path("/etc/ssl/server.key"), tmp_path / "ca.crt"]
    assert found.tls
    assert len(found.tls.openssl_ciphers) == len(CIPHERS)
    assert found.headers == {
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Frame-Options": "deny",
    }
    assert found.users == {"alice": HASH}
    assert (found.limit.interval, found.limit.burst) == (1, 20)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match=r"absent\.yml: cannot be read: No such file or directory"):
        load_web_config(tmp_path / "absent.yml")
