"""An exporter's metrics, and what came between two answers."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mailstat.live import scrape
from mailstat.live.scrape import Scrape

NOW = 1_767_571_200.0
PAGE = """\
# TYPE mail_deliveries_total counter
mail_deliveries_total{{mta="postfix",service="postfix",direction="outbound",provider="google",status="sent"}} {sent}
mail_deliveries_total{{mta="exim",service="exim",direction="outbound",provider="google",status="sent"}} 7
mail_deliveries_total{{mta="postfix",service="postfix",direction="local",provider="other",status="sent"}} 1
# TYPE mail_delivery_failures_total counter
mail_delivery_failures_total{{provider="gmx",status="deferred",reason="blocked_ip"}} {failed}
# TYPE mail_rejects_total counter
mail_rejects_total{{phase="rcpt",reason="blocked_ip"}} {failed}
# TYPE mail_auth_attempts_total counter
mail_auth_attempts_total{{method="LOGIN",result="failure"}} {failed}
# TYPE mail_connection_errors_total counter
mail_connection_errors_total{{provider="gmx",error="timeout"}} {failed}
mail_connection_errors_total{{provider="",error="lost"}} {failed}
# TYPE mail_queue_messages gauge
mail_queue_messages{{service="postfix",queue="deferred"}} 12
# TYPE mail_queue_oldest_age_seconds gauge
mail_queue_oldest_age_seconds{{service="postfix",queue="deferred"}} 90
# TYPE mail_messages_in_flight gauge
mail_messages_in_flight{{mta="postfix"}} 3
"""


def page(sent: int, failed: int = 0) -> str:
    return PAGE.format(sent=sent, failed=failed)


def feed(*pages: str) -> Scrape:
    made = Scrape("http://localhost:9587/metrics", now=lambda: NOW)
    for number, text in enumerate(pages):
        made.take(text, NOW + number)
    return made


def test_the_first_answer_is_what_was_before() -> None:
    assert feed(page(100)).pulse.rates(NOW, 60)["sent"] == 0.0


def test_what_came_between_two_answers_is_counted() -> None:
    pulse = feed(page(100), page(105, 2)).pulse
    assert pulse.rates(NOW, 60)["sent"] == 5.0
    assert pulse.rows("providers", NOW, 60) == [("google", (5, 0, 0))]
    assert pulse.rows("reasons", NOW, 60) == [("blocked_ip", (2, 0, 2))]
    assert pulse.rows("destinations", NOW, 60) == [("gmx", (2, 0, 2, 0))]
    assert pulse.rows("attackers", NOW, 60) == [("method LOGIN", (2, 0, 0))]


def test_a_counter_that_fell_began_anew() -> None:
    assert feed(page(100), page(3)).pulse.rates(NOW, 60)["sent"] == 3.0


def test_the_queue_is_told_as_it_is() -> None:
    assert feed(page(1)).pulse.queue == [("postfix: in flight", (3.0,)), ("postfix deferred", (12.0, 90.0))]


class Exporter(BaseHTTPRequestHandler):
    """Answers with a page, or with what is none."""

    body = page(1).encode()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body if self.path == "/metrics" else b"{ no metrics ]")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name
        """Nothing is said."""


def asked(path: str) -> Scrape:
    server = HTTPServer(("127.0.0.1", 0), Exporter)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = Scrape(f"http://127.0.0.1:{server.server_port}{path}", now=lambda: NOW)
    asyncio.run(made.poll())
    server.shutdown()
    server.server_close()
    return made


def test_an_exporter_is_asked_over_http() -> None:
    made = asked("/metrics")
    assert made.error == ""
    assert made.pulse.queue


def test_an_answer_that_is_none_is_told() -> None:
    assert "/other" in asked("/other").error


def test_an_endless_answer_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "LARGEST", 10)
    assert "too long" in asked("/metrics").error


def test_an_exporter_that_is_stopped_is_told_in_the_words_of_the_system() -> None:
    made = Scrape("http://127.0.0.1:1/metrics", now=lambda: NOW)
    asyncio.run(made.poll())
    assert made.error == "http://127.0.0.1:1/metrics: Connection refused"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://127.0.0.1:1/metrics", "x"])
def test_what_cannot_be_asked_is_told(url: str) -> None:
    made = Scrape(url, now=lambda: NOW)
    asyncio.run(made.poll())
    assert made.error
    assert made.pulse.queue == []
