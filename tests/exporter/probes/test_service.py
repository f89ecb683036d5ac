"""The service with a probe in its configuration: from the schedule to the scrape."""

from __future__ import annotations

import asyncio
import threading

from tests.exporter.probes.server import serving
from tests.exporter.probes.test_prober import a_maildir
from tests.service import PATIENCE, running


def test_a_probe_of_the_configuration_is_run_and_scraped(tmp_path):
    a_maildir(tmp_path)
    loop = asyncio.new_event_loop()
    done = asyncio.Event()
    ports: list[int] = []
    is_up = threading.Event()

    async def deliver() -> None:
        async with serving() as server:
            ports.append(server.port)
            is_up.set()
            number = 0
            while not done.is_set():
                await asyncio.sleep(0.02)
                while number < len(server.mails):
                    raw = b"Authentication-Results: mx.example.com; spf=pass\r\n" + server.mails[number]
                    (tmp_path / "Maildir/new" / str(number)).write_bytes(raw.removesuffix(b".\r\n"))
                    number += 1

    thread = threading.Thread(target=loop.run_until_complete, args=(deliver(),))
    thread.start()
    try:
        assert is_up.wait(PATIENCE)
        (tmp_path / "mail.log").write_text("")
        config = tmp_path / "probes.yml"
        config.write_text(
            f"sources: [{{file: mail.log}}]\nprobes: [{{name: one, every: 1s, send: {{server: 127.0.0.1,"
            f" port: {ports[0]}, tls: none, from: a@example.com, to: b@example.com}},"
            " arrive: {maildir: Maildir, every: 50ms}}]"
        )
        with running(tmp_path, f"--config.file={config}", f"--state.dir={tmp_path}") as exporter:
            exporter.until(lambda it: it.total("mail_probe_success", probe="one") == 1, "mail_probe_success")
            exporter.until(
                lambda it: it.total("mail_probe_authentication_result", probe="one", check="spf", result="pass") == 1,
                "mail_probe_authentication_result",
            )
            status, text = exporter.ask("/probe?module=one")
            assert status == 200
            assert "probe_success 1.0" in text
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(PATIENCE)
        loop.close()
