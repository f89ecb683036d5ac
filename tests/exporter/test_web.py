from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import http.client
import logging
import re
import socket
import threading
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.view import SourceView
from exporter.web import ListenError, application, serve

NOW = 1_800_000_000.0
OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


def a_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("mail_deliveries", "Deliveries.", ["status"], registry=registry).labels("sent").inc(3)
    Gauge("mail_messages_in_flight", "Messages.", registry=registry).set(2)
    Histogram("mail_delivery_seconds", "Delay.", buckets=[1, 60], registry=registry).observe(5)
    return registry


def source(name: str = "/var/log/mail.log", **what: object) -> SourceView:
    values = {"mtas": ("postfix",), "state": "following", "is_up": True, "lines": 1234567, "lag_bytes": 0}
    return SourceView(name=name, **(values | what))


@dataclass
class View:
    registry: object = field(default_factory=a_registry)
    started: float = NOW - 3 * 86400 - 3600
    version: str = "1.2.3"
    ready: bool = True
    followed: list[SourceView] = field(default_factory=lambda: [source()])
    wrong: list[str] = field(default_factory=list)

    def is_ready(self) -> bool:
        return self.ready

    def sources(self) -> list[SourceView]:
        return self.followed

    def troubles(self) -> list[str]:
        return self.wrong

    async def save(self) -> None:
        pass


class Service:
    """The service on a port of its own, in a thread of its own."""

    def __init__(self) -> None:
        self.view = View()
        self.errors: list[str] = []
        self.reloads = 0
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self._runners = []

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def reload(self) -> list[str]:
        self.reloads += 1
        return self.errors

    def listen(self, *addresses: str, telemetry_path: str = "/metrics") -> int:
        app = application(self.view, telemetry_path, self.reload, lambda: NOW)
        runner = self.call(serve(app, addresses or ["127.0.0.1:0"]))
        self._runners.append(runner)
        self.port = runner.addresses[0][1]
        return self.port

    def request(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str):
        """The answer to one request: status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def raw(self, text: bytes, host: str = "127.0.0.1") -> bytes:
        """All that comes back on a connection for these bytes."""
        with socket.create_connection((host, self.port), timeout=30) as connection:
            connection.sendall(text)
            received = b""
            while part := connection.recv(65536):
                received += part
        return received

    def stop(self) -> None:
        for runner in self._runners:
            self.call(runner.cleanup())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture
def stopped():
    service = Service()
    yield service
    service.stop()


@pytest.fixture
def service(stopped):
    stopped.listen()
    return stopped


# Metrics


def samples(families) -> dict[str, float]:
    return {f"{s.name}{s.labels or ''}": s.value for family in families for s in family.samples}


def test_metrics_are_text_where_nothing_else_is_asked(service):
    status, headers, body = service.request("/metrics")
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert samples(parse_text(body.decode()))["mail_deliveries_total{'status': 'sent'}"] == 3


def test_metrics_are_openmetrics_where_prometheus_asks(service):
    status, headers, body = service.request("/metrics", Accept=OPENMETRICS)
    assert status == 200
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert body.endswith(b"# EOF\n")
    assert samples(parse_openmetrics(body.decode()))["mail_messages_in_flight"] == 2


@pytest.mark.parametrize(
    "accept",
    [
        "text/plain;version=x",
        "application/openmetrics-text;version=1.x",
        "application/openmetrics-text;version=2.\xff",
        "a/b;;=,,;version",
        "text/html,*/*",
        "",
    ],
)
def test_an_odd_accept_header_gets_metrics_too(service, accept):
    status, headers, body = service.request("/metrics", Accept=accept)
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b"mail_messages_in_flight 2.0\n" in body


def test_metrics_are_compressed_where_asked(service):
    plain = service.request("/metrics")
    packed = service.request("/metrics", Accept_Encoding="br, gzip;q=0.5")
    assert plain[1]["Content-Encoding"] is None
    assert packed[1]["Content-Encoding"] == "gzip"
    assert packed[1]["Vary"] == plain[1]["Vary"] == "Accept, Accept-Encoding"
    assert without_created(gzip.decompress(packed[2])) == without_created(plain[2])


@pytest.mark.parametrize("offer", ["gzip;q=0", "br, GZIP; q=0.000", "deflate", "x-gzipped", ""])
def test_who_refuses_gzip_gets_none(service, offer):
    assert service.request("/metrics", Accept_Encoding=offer)[1]["Content-Encoding"] is None


def without_created(body: bytes) -> bytes:
    return re.sub(rb".*_created.*\n", b"", body)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?name[]=mail_messages_in_flight", {"mail_messages_in_flight"}),
        ("?name[]=mail_deliveries_total", {"mail_deliveries_total"}),
        ("?name[]=absent", set()),
        (
            "?name%5B%5D=mail_delivery_seconds_sum&name[]=mail_deliveries_total&other=x",
            {"mail_delivery_seconds_sum", "mail_deliveries_total"},
        ),
    ],
)
def test_a_scrape_may_name_what_it_wants(service, query, names):
    status, _, body = service.request(f"/metrics{query}")
    assert status == 200
    assert {s.name for family in parse_text(body.decode()) for s in family.samples} == names


def test_a_histogram_can_be_asked_for_as_a_whole(service):
    _, _, body = service.request("/metrics?name[]=mail_delivery_seconds")
    assert "mail_delivery_seconds_bucket{'le': '60.0'}" in samples(parse_text(body.decode()))


def test_metrics_may_be_elsewhere(stopped):
    stopped.listen(telemetry_path="/mail/metrics")
    assert stopped.request("/mail/metrics")[0] == 200
    assert stopped.request("/metrics")[0] == 404
    assert b'href="/mail/metrics"' in stopped.request("/")[2]


def test_metrics_may_take_the_place_of_the_page(stopped):
    stopped.listen(telemetry_path="/")
    assert b"mail_messages_in_flight" in stopped.request("/")[2]


@pytest.mark.parametrize("path", ["", "metrics", "/-/ready", "/{x}", "/a?b", "/a b", "/\n"])
def test_a_telemetry_path_that_is_none(stopped, path):
    with pytest.raises(ValueError, match=r"^telemetry path: expected a path such as /metrics, got "):
        stopped.listen(telemetry_path=path)


def test_metrics_that_cannot_be_made_are_an_error_without_details(service, caplog):
    class Broken:
        def collect(self):
            raise RuntimeError("secret")

    service.view.registry = Broken()
    status, headers, body = service.request("/metrics?name[]=secret")
    assert (status, body) == (500, b"500 Internal Server Error\n")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert [(r.message, r.route) for r in caplog.records] == [("request failed", "/metrics")]


# Health and reload


def test_the_service_is_healthy(service):
    assert service.request("/-/healthy")[::2] == (200, b"mailstat is healthy.\n")


def test_the_service_is_ready_when_the_existing_logs_have_been_read(service):
    service.view.ready = False
    assert service.request("/-/ready")[::2] == (503, b"mailstat is reading the existing logs.\n")
    assert service.request("/-/healthy")[0] == 200
    service.view.ready = True
    assert service.request("/-/ready")[::2] == (200, b"mailstat is ready.\n")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_the_configuration_is_reloaded(service, method):
    assert service.request("/-/reload", method)[::2] == (200, b"The configuration is reloaded.\n")
    assert service.reloads == 1


def test_a_bad_configuration_is_told(service):
    service.errors = ["mailstat.yml: lables: unknown key", "mailstat.yml: <b>"]
    status, headers, body = service.request("/-/reload", "POST")
    assert (status, body) == (500, b"mailstat.yml: lables: unknown key\nmailstat.yml: <b>\n")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_web_page_elsewhere_cannot_reload(service):
    assert service.request("/-/reload", "POST", Origin="http://example.com")[0] == 403
    assert service.reloads == 0


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("/-/reload", "GET", "POST,PUT"),
        ("/-/reload", "HEAD", "POST,PUT"),
        ("/metrics", "POST", "GET,HEAD"),
        ("/metrics", "OPTIONS", "GET,HEAD"),
        ("/-/healthy", "DELETE", "GET,HEAD"),
        ("/", "PUT", "GET,HEAD"),
    ],
)
def test_a_method_that_a_route_has_not(service, path, method, allowed):
    status, headers, body = service.request(path, method)
    assert (status, headers["Allow"]) == (405, allowed)
    assert body == (b"" if method == "HEAD" else b"405 Method Not Allowed\n")
    assert service.reloads == 0


@pytest.mark.parametrize("path", ["/absent", "/metrics/", "/-/", "//", "/%2e%2e/etc/passwd", "/<script>", "/%00"])
def test_an_unknown_path_is_a_small_404(service, path):
    status, headers, body = service.request(path)
    assert (status, body) == (404, b"404 Not Found\n")
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready"])
def test_head_tells_what_get_would(service, path):
    _, get, body = service.request(path)
    status, head, nothing = service.request(path, "HEAD")
    assert (status, nothing) == (200, b"")
    assert int(head["Content-Length"]) == len(body)
    assert head["Content-Type"] == get["Content-Type"]


# The page


class Page(HTMLParser):
    """The text of a page, and the tags that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] != "style" and data.strip():
            self.words.append(data.strip())


@pytest.fixture
def page(service):
    def page(*sources: SourceView, **what: object) -> Page:
        service.view.followed = list(sources)
        vars(service.view).update(what)
        return Page(service.request("/")[2].decode())

    return page


def test_the_page_says_what_is_followed(page):
    followed = source(mtas=("postfix", "dovecot"), lag_seconds=0.0, last_event=NOW - 3)
    shown = page(followed, version="1.2.3")
    assert shown.words == [
        "Following 1 log \N{EN DASH} mailstat",
        *("mailstat", "1.2.3", "Following 1 log"),
        *("Logs followed", "1 of 1", "Lines read", "1,234,567"),
        *("Furthest behind", "0 s", "Running for", "3 d 1 h"),
        *("Logs", "Log", "Mail server", "State", "Lines read", "Behind", "Last event"),
        *("/var/log/mail.log", "postfix, dovecot", "following", "1,234,567", "nothing", "3 s ago"),
        *("Look further", "Metrics", "Health", "Readiness"),
        *("POST /-/reload", "reads the configuration again"),
        "As of 2027-01-15T08:00:00Z; renews itself every 30 seconds.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sources", "is_ready", "verdict"),
    [
        ([], True, "No log is followed"),
        ([source(), source("/b")], True, "Following 2 logs"),
        ([source(), source("/b")], False, "Reading the existing logs"),
        ([source(), source("/b", is_up=False)], False, "1 of 2 logs cannot be followed"),
        ([source(), source("/b", error="an Exim log")], False, "1 of 2 logs cannot be understood"),
        ([source(lag_seconds=59.9)], True, "Following 1 log"),
        ([source(), source("/b", lag_seconds=7265.0)], True, "Following 2 logs, 2 h 1 min behind"),
    ],
)
def test_the_page_begins_with_a_verdict(page, sources, is_ready, verdict):
    shown = page(*sources, ready=is_ready)
    assert shown.words[0] == f"{verdict} \N{EN DASH} mailstat"
    assert shown.words[3] == verdict


def test_the_page_says_what_else_is_wrong(page):
    shown = page(source(), wrong=["The state cannot be saved: <no room>"])
    assert shown.words[3:5] == ["Following 1 log", "The state cannot be saved: <no room>"]


@pytest.mark.parametrize(
    ("what", "cell"),
    [
        ({"lag_bytes": None}, "\N{EN DASH}"),
        ({"lag_bytes": 0, "lag_seconds": 0.0}, "nothing"),
        ({"lag_bytes": 900}, "900 B"),
        ({"lag_bytes": 2048, "lag_seconds": 59.9}, "2.0 KiB, 59 s"),
        ({"lag_bytes": 52428800, "lag_seconds": 190.0}, "50 MiB, 3 min 10 s"),
        ({"lag_bytes": 2**50, "lag_seconds": 86400.0}, "1,024.0 TiB, 1 d"),
    ],
)
def test_how_far_behind_a_log_is(page, what, cell):
    words = page(source(**what)).words
    assert words[words.index("following") + 2] == cell


def test_a_lag_that_is_not_known_is_not_zero(page):
    words = page(source(lag_bytes=5)).words
    assert words[words.index("Furthest behind") + 1] == "\N{EN DASH}"


@pytest.mark.parametrize(
    ("time", "cell"),
    [(None, "\N{EN DASH}"), (NOW, "0 s ago"), (NOW - 3600, "1 h ago"), (NOW + 5, "just now")],
)
def test_when_the_last_event_was(page, time, cell):
    words = page(source(last_event=time)).words
    assert words[words.index("following") + 3] == cell


def test_the_page_says_why_a_log_is_not_followed(page):
    assert "Permission denied" in page(source(is_up=False, error="Permission denied")).words


def test_the_name_of_a_log_stands_there_once(page):
    shown = page(source("/b", is_up=False, error="/b: Permission denied"))
    assert shown.words.count("Permission denied") == 1


HOSTILE = "/var/log/<script>alert(1)</script>\"'&amp;\n\x1b[2J\u202egnp.exe\udcff"


def test_hostile_text_is_only_text(page):
    shown = page(source(HOSTILE, state=HOSTILE, mtas=(HOSTILE,), error=HOSTILE), version=HOSTILE)
    spelt = "/var/log/<script>alert(1)</script>\"'&amp;\\n\\x1b[2J\\u202egnp.exe\\udcff"
    assert shown.words.count(spelt) == 5
    assert not {tag for tag, _ in shown.tags} & {"script", "img", "iframe", "object", "form"}


def test_long_text_is_cut(page):
    assert "x" * 300 + "…" in page(source("x" * 100_000)).words


def test_the_page_needs_nothing_from_elsewhere(page):
    shown = page(source())
    links = [value for _, attrs in shown.tags for name, value in attrs.items() if name in ("href", "src")]
    assert links == ["/metrics", "/-/healthy", "/-/ready"]


def test_the_style_of_the_page_is_the_only_one_that_a_browser_accepts(service):
    _, headers, body = service.request("/")
    style = re.search(rb"<style>(.*?)</style>", body, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style[1]).digest()).decode()
    policy = headers["Content-Security-Policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/ready", "/absent"])
def test_every_answer_keeps_a_browser_careful(service, path):
    _, headers, _ = service.request(path)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Server"] == "mailstat"


# Limits


@pytest.mark.parametrize(
    "request_text",
    [
        b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 5000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"x" * 5000 + b": 1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA b: c\r\n\r\n",
    ],
    ids=["path", "value", "name", "tls", "malformed"],
)
def test_what_is_too_large_or_no_http_is_refused_and_not_logged(service, request_text, caplog):
    caplog.set_level(logging.INFO)
    assert service.raw(request_text).startswith(b"HTTP/1.0 400 ")
    assert not caplog.records
    assert service.request("/-/healthy")[0] == 200


def test_a_header_of_usual_length_passes(service):
    assert service.request("/", Cookie="x" * 3000)[0] == 200


def test_a_body_is_not_needed_and_does_no_harm(service):
    assert service.request("/-/reload", "POST", b"x" * 1_000_000)[0] == 200


def test_a_connection_is_kept_for_the_next_scrape(service):
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    for _ in range(3):
        connection.request("GET", "/metrics")
        assert connection.getresponse().read()
        assert connection.sock
    connection.close()


# Addresses


def test_all_addresses_are_listened_on(stopped):
    stopped.listen("127.0.0.1:0", "127.0.0.2:0", "localhost:0")
    assert stopped.request("/-/healthy")[0] == 200


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_an_ipv6_address_stands_in_brackets(stopped):
    try:
        stopped.listen("[::1]:0")
    except ListenError as error:
        pytest.skip(str(error))
    assert stopped.raw(b"GET /-/healthy HTTP/1.0\r\n\r\n", "::1").startswith(b"HTTP/1.0 200 OK")


def test_a_port_alone_is_every_address_of_the_host(stopped):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stopped.listen(f":{port}")
    for host in ("127.0.0.1", "127.0.0.2"):
        assert stopped.raw(b"GET /-/healthy HTTP/1.0\r\n\r\n", host).startswith(b"HTTP/1.0 200 OK")


def test_a_port_that_is_taken_is_told_and_nothing_is_left_listening(stopped):
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as probe:
        port = taken.getsockname()[1]
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
        probe.close()
        with pytest.raises(ListenError) as caught:
            stopped.listen(f"127.0.0.1:{free}", f"127.0.0.1:{port}")
    assert str(caught.value) == f"cannot listen on 127.0.0.1:{port}: Address already in use"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", free), timeout=30)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "9587",
        "localhost",
        "localhost:",
        ":http",
        "::1:9587",
        "[::1]",
        ":65536",
        ":-1",
        ":\u0663",
        ":" + "9" * 5000,
    ],
)
def test_what_is_no_address_is_told(stopped, address):
    with pytest.raises(ListenError) as caught:
        stopped.listen(address)
    assert str(caught.value) == f"cannot listen on {address}: expected host:port, :port, [address]:port or unix:/path"


def test_a_host_that_is_not_ours_is_told(stopped):
    with pytest.raises(ListenError, match=r"^cannot listen on 192\.0\.2\.1:0: Cannot assign requested address$"):
        stopped.listen("192.0.2.1:0")


def test_a_host_without_an_address_is_told(stopped):
    with pytest.raises(ListenError, match=r"^cannot listen on absent\.invalid:0: \w"):
        stopped.listen("absent.invalid:0")
