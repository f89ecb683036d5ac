"""HTTPS and client certificates, with the clients that a scraper would be."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from time import monotonic

import pytest
import trustme

from exporter.door.door import Door
from exporter.door.visitor import Patience
from exporter.schema import InvalidError
from tests.exporter.door.place import HOST, Place, ask, trusting, write_pair
from tests.service import PATIENCE, wait_for
from tests.tick import tick

SERVER = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"
VERIFY = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"


@pytest.fixture
def config(tmp_path: Path, ca: trustme.CA) -> Path:
    write_pair(tmp_path, ca)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "web.yml"


def is_refused(place: Place, tls: ssl.SSLContext) -> bool:
    """Whether no answer comes; of TLS 1.3 a client sees only then that its certificate was not liked."""
    try:
        place.get(tls=tls)
    except (ssl.SSLError, ConnectionError, EOFError):
        return True
    return False


def test_an_answer_over_tls(place: Place, config: Path, ca: trustme.CA) -> None:
    config.write_text(SERVER)
    place.open(config)
    connection = place.client(trusting(ca))
    assert isinstance(connection.sock, ssl.SSLSocket)
    assert connection.sock.version() == "TLSv1.3"
    assert b"mail_messages_in_flight 2.0" in ask(connection).body
    connection.close()


def test_who_would_rather_speak_http_2_is_told_what_is_spoken(place: Place, config: Path, ca: trustme.CA) -> None:
    config.write_text(f"{SERVER}http_server_config:\n  http2: true\n")
    place.open(config)
    client = trusting(ca)
    client.set_alpn_protocols(["h2", "http/1.1"])
    connection = place.client(client)
    assert isinstance(connection.sock, ssl.SSLSocket)
    assert connection.sock.selected_alpn_protocol() == "http/1.1"
    assert ask(connection).status == 200
    connection.close()


def test_what_is_written_while_the_file_is_read_is_read_too(config: Path) -> None:
    config.write_text(SERVER)
    door = Door(config, monotonic)

    def write() -> None:
        for text in (SERVER, "{}\n", SERVER, "{}\n"):
            config.write_text(text)

    missed = 0
    for _ in range(200):
        writer = threading.Thread(target=write)
        writer.start()
        while writer.is_alive():
            door.is_current()
        missed += door.tls is not None
    door.close()
    assert missed == 0


def test_plain_http_gets_nothing_where_tls_is_spoken(place: Place, config: Path) -> None:
    config.write_text(SERVER)
    place.open(config)
    with place.connect() as plain:
        plain.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"HTTP" not in plain.recv(1000)


def test_a_server_of_another_authority_is_not_believed(place: Place, config: Path, other_ca: trustme.CA) -> None:
    config.write_text(SERVER)
    place.open(config)
    with pytest.raises(ssl.SSLCertVerificationError):
        place.get(tls=trusting(other_ca))


@pytest.mark.parametrize(
    ("offered", "least", "is_taken"),
    [
        (ssl.TLSVersion.TLSv1_1, "TLS12", False),
        (ssl.TLSVersion.TLSv1_2, "TLS12", True),
        (ssl.TLSVersion.TLSv1_2, "TLS13", False),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_the_least_version(
    place: Place, config: Path, ca: trustme.CA, offered: ssl.TLSVersion, least: str, is_taken: bool
) -> None:
    config.write_text(f"{SERVER}  min_version: {least}\n")
    place.open(config)
    client = trusting(ca)
    client.set_ciphers("ALL:@SECLEVEL=0")  # or OpenSSL would not even try
    client.minimum_version = ssl.TLSVersion.TLSv1
    client.maximum_version = offered
    assert is_refused(place, client) is not is_taken


def test_the_greatest_version(place: Place, config: Path, ca: trustme.CA) -> None:
    config.write_text(f"{SERVER}  max_version: TLS12\n")
    place.open(config)
    connection = place.client(trusting(ca))
    assert isinstance(connection.sock, ssl.SSLSocket)
    assert connection.sock.version() == "TLSv1.2"
    connection.close()


def agreed(place: Place, tls: ssl.SSLContext) -> str:
    """The suite of a handshake."""
    connection = place.client(tls)
    assert isinstance(connection.sock, ssl.SSLSocket)
    cipher = connection.sock.cipher()
    connection.close()
    assert cipher
    return cipher[0]


def test_only_the_suites_that_are_named(place: Place, config: Path, ca: trustme.CA) -> None:
    suite = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
    config.write_text(f"{SERVER}  max_version: TLS12\n  cipher_suites: [{suite}, TLS_AES_128_GCM_SHA256]\n")
    place.open(config)
    assert agreed(place, trusting(ca)) == "ECDHE-ECDSA-CHACHA20-POLY1305"
    other = trusting(ca)
    other.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    assert is_refused(place, other)


@pytest.mark.parametrize(("is_preferred", "suite"), [("true", "AES256"), ("false", "AES128")])
def test_whose_order_of_suites_counts(
    place: Place, config: Path, ca: trustme.CA, is_preferred: str, suite: str
) -> None:
    names = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    config.write_text(
        f"{SERVER}  max_version: TLS12\n  cipher_suites: [{names}]\n  prefer_server_cipher_suites: {is_preferred}\n"
    )
    place.open(config)
    client = trusting(ca)
    client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
    assert suite in agreed(place, client)


@pytest.mark.parametrize("curve", ["CurveP256", "CurveP384", "CurveP521", "X25519"])
def test_one_curve(place: Place, config: Path, ca: trustme.CA, curve: str) -> None:
    config.write_text(f"{SERVER}  curve_preferences: [{curve}]\n")
    try:
        place.open(config)
    except InvalidError as invalid:
        if "the Python of this host cannot choose X25519" in str(invalid):  # 3.11.2 knows those of NIST alone
            pytest.skip(str(invalid))
        raise
    same, other = trusting(ca), trusting(ca)
    same.set_ecdh_curve({"X25519": "X25519", "CurveP256": "prime256v1"}.get(curve, f"secp{curve[6:]}r1"))
    other.set_ecdh_curve("secp384r1" if curve == "CurveP256" else "prime256v1")
    assert place.get(tls=same).status == 200
    assert is_refused(place, other)


# Client certificates


def test_a_client_with_a_certificate(place: Place, config: Path, ca: trustme.CA) -> None:
    config.write_text(SERVER + VERIFY)
    place.open(config)
    assert place.get(tls=trusting(ca, ca.issue_cert("prometheus.example.com"))).status == 200


def test_a_client_without_a_certificate(place: Place, config: Path, ca: trustme.CA) -> None:
    config.write_text(SERVER + VERIFY)
    place.open(config)
    assert is_refused(place, trusting(ca))


def test_a_client_of_another_authority(place: Place, config: Path, ca: trustme.CA, other_ca: trustme.CA) -> None:
    config.write_text(SERVER + VERIFY)
    place.open(config)
    assert is_refused(place, trusting(ca, other_ca.issue_cert("prometheus.example.com")))


def test_a_certificate_may_be_left_out_where_it_is_verified_if_given(
    place: Place, config: Path, ca: trustme.CA, other_ca: trustme.CA
) -> None:
    config.write_text(SERVER + VERIFY.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"))
    place.open(config)
    assert place.get(tls=trusting(ca)).status == 200
    assert is_refused(place, trusting(ca, other_ca.issue_cert("prometheus.example.com")))


@pytest.mark.parametrize(
    ("allowed", "name", "is_taken"),
    [
        ("prometheus.example.com", "prometheus.example.com", True),
        ("a.example.com, prometheus.example.com", "prometheus.example.com", True),
        ("'2001:db8::1'", "2001:db8::1", True),
        ("192.0.2.1", "192.0.2.1", True),
        ("scraper@example.com", "scraper@example.com", True),
        ("prometheus.example.com", "grafana.example.com", False),
        ("example.com", "prometheus.example.com", False),
        ("prometheus.example.com", "*.example.com", False),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_the_names_that_a_client_may_have(
    place: Place, config: Path, ca: trustme.CA, allowed: str, name: str, is_taken: bool
) -> None:
    config.write_text(f"{SERVER}{VERIFY}  client_allowed_sans: [{allowed}]\n")
    place.open(config)
    assert is_refused(place, trusting(ca, ca.issue_cert(name))) is not is_taken


# Files that change


def serial(place: Place, ca: trustme.CA) -> str:
    connection = place.client(trusting(ca))
    assert isinstance(connection.sock, ssl.SSLSocket)
    certificate = connection.sock.getpeercert()
    connection.close()
    assert certificate
    return str(certificate["serialNumber"])


def test_a_renewed_certificate_is_shown_to_the_next_and_ends_no_connection(
    place: Place, config: Path, ca: trustme.CA
) -> None:
    config.write_text(SERVER)
    place.open(config)
    before = serial(place, ca)
    kept = place.client(trusting(ca))
    assert ask(kept).status == 200
    tick()
    write_pair(config.parent, ca)
    assert serial(place, ca) != before
    assert ask(kept).status == 200
    kept.close()


@pytest.mark.parametrize("what", ["half", "gone", "garbage", "pem", "yaml"])
def test_a_broken_file_leaves_what_was(
    place: Place, config: Path, ca: trustme.CA, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    config.write_text(SERVER)
    place.open(config)
    before = serial(place, ca)
    match what:
        case "half":  # the certificate is new, its key not yet
            ca.issue_cert(HOST).cert_chain_pems[0].write_to_path(config.parent / "cert.pem")
        case "gone":
            (config.parent / "key.pem").unlink()
        case "garbage":
            (config.parent / "cert.pem").write_bytes(os.urandom(1000))
        case "pem":
            (config.parent / "cert.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        case "yaml":
            config.write_text("tls_server_config: [")
    assert serial(place, ca) == serial(place, ca) == before
    assert [it.message for it in caplog.records if it.levelname == "ERROR"] == ["the web configuration is refused"]
    tick()
    write_pair(config.parent, ca)
    config.write_text(SERVER)
    assert serial(place, ca) != before


def test_a_client_authority_that_is_taken_away_is_trusted_no_more(
    place: Place, config: Path, ca: trustme.CA, other_ca: trustme.CA
) -> None:
    config.write_text(SERVER + VERIFY)
    place.open(config)
    client = trusting(ca, ca.issue_cert("prometheus.example.com"))
    assert place.get(tls=client).status == 200
    other_ca.cert_pem.write_to_path(config.parent / "ca.pem")
    assert is_refused(place, client)


def test_tls_may_come_and_go(place: Place, config: Path, ca: trustme.CA) -> None:
    config.write_text("{}\n")
    place.open(config)
    assert place.get().status == 200
    config.write_text(SERVER)
    assert place.get(tls=trusting(ca)).status == 200
    config.write_text("{}\n")
    assert place.get().status == 200


def test_a_link_that_is_turned_is_a_change(place: Place, config: Path, ca: trustme.CA) -> None:
    """As Kubernetes mounts a secret."""
    folder = config.parent
    for name in ("first", "second"):
        (folder / name).mkdir()
        write_pair(folder / name, ca)
    (folder / "now").symlink_to("first")
    config.write_text(SERVER.replace(" cert.pem", " now/cert.pem").replace(" key.pem", " now/key.pem"))
    place.open(config)
    before = serial(place, ca)
    (folder / "new").symlink_to("second")
    (folder / "new").rename(folder / "now")
    assert serial(place, ca) != before


# Files that are wrong from the start


@pytest.mark.parametrize(
    ("break_it", "error"),
    [
        (lambda it: (it / "cert.pem").unlink(), "cert_file: {}/cert.pem: No such file or directory"),
        (lambda it: (it / "key.pem").unlink(), "key_file: {}/key.pem: No such file or directory"),
        (lambda it: (it / "ca.pem").unlink(), "client_ca_file: {}/ca.pem: No such file or directory"),
        (
            lambda it: (it / "key.pem").unlink() or os.mkfifo(it / "key.pem"),
            "key.pem: no file of certificates or keys",
        ),
        (lambda it: (it / "ca.pem").write_text("x"), "client_ca_file: no certificate in PEM"),
        (
            lambda it: (it / "key.pem").write_text("x"),
            "no certificate in cert_file, or no key without a passphrase in key_file, in PEM",
        ),
        (
            lambda it: trustme.CA().issue_cert(HOST).private_key_pem.write_to_path(it / "key.pem"),
            "cert_file and key_file do not belong together",
        ),
    ],
)
def test_a_file_that_is_wrong_from_the_start(place: Place, config: Path, break_it, error: str) -> None:
    config.write_text(SERVER + VERIFY)
    break_it(config.parent)
    with pytest.raises(InvalidError) as caught:
        place.open(config)
    (told,) = caught.value.errors
    assert told.startswith(f"{config}: tls_server_config")
    assert told.endswith(error.format(config.parent))


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(place: Place, config: Path) -> None:
    key = config.parent / "key.pem"
    subprocess.run(
        ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", config.parent / "locked.pem"],
        check=True,
    )
    (config.parent / "locked.pem").rename(key)
    config.write_text(SERVER)
    with pytest.raises(InvalidError, match="no key without a passphrase"):
        place.open(config)


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_curl_scrapes(place: Place, config: Path, ca: trustme.CA) -> None:
    config.write_text(SERVER + VERIFY)
    place.open(config)
    client = ca.issue_cert("prometheus.example.com")
    client.private_key_and_cert_chain_pem.write_to_path(config.parent / "client.pem")
    command = ["curl", "--silent", "--show-error", "--cacert", config.parent / "ca.pem"]
    target = ["--resolve", f"{HOST}:{place.port}:127.0.0.1", f"https://{HOST}:{place.port}/metrics"]
    done = subprocess.run(
        [*command, "--cert", config.parent / "client.pem", *target], check=True, capture_output=True, timeout=PATIENCE
    )
    assert b"mail_messages_in_flight 2.0" in done.stdout
    without = subprocess.run([*command, *target], check=False, capture_output=True, timeout=PATIENCE)
    assert without.returncode != 0
    assert without.stdout == b""


def test_who_never_ends_the_handshake_is_sent_away(place: Place, config: Path) -> None:
    config.write_text(SERVER)
    place.open(config, patience=Patience(handshake=0.2))
    with place.connect() as slow:
        assert slow.recv(100) == b""
    with socket.create_connection(("127.0.0.1", place.port), timeout=PATIENCE) as slow:
        slow.sendall(b"\x16\x03\x01")
        assert slow.recv(100) == b""


def test_who_ends_one_half_of_tls_ends_both(place: Place, config: Path, ca: trustme.CA) -> None:
    """TLS 1.3 could answer still; asyncio does not, and a client that is gone looks the same."""
    config.write_text(SERVER)
    reception = place.open(config)
    place.loop.call_soon_threadsafe(place.view.may_save.clear)
    connection = place.client(trusting(ca))
    connection.request("GET", "/metrics")
    wait_for(lambda: reception.visitors == 1)
    assert isinstance(connection.sock, ssl.SSLSocket)
    connection.sock.unwrap().close()
    wait_for(lambda: reception.visitors == 0)
    place.loop.call_soon_threadsafe(place.view.may_save.set)
    assert place.get(tls=trusting(ca)).status == 200
    connection.close()
