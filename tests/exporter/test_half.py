"""An exporter that is killed in the middle of a session tells the same as one that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service import Exporter, Scrape, following

STAMP = "2026-11-21T10:00:{:02}+00:00 mail "
# By server: lines without their stamps; what they have to count, wherever the exporter is killed.
QMAIL = """\
qmail: new msg 270182
qmail: info msg 270182: bytes 10712 from <kim@example.com> qp 54945 uid 82
qmail: starting delivery 251: msg 270182 to remote lee@gmail.com
qmail: delivery 251: success: 198.51.100.9_accepted_message./Remote_host_said:_250_ok/
qmail: end msg 270182
"""
OPENSMTPD = """\
smtpd[7]: 5c2b1f3e8a7d6c01 smtp connected address=203.0.113.7 host=client.example.net
smtpd[7]: 5c2b1f3e8a7d6c01 smtp authentication user=kim result=permfail
smtpd[7]: 5c2b1f3e8a7d6c01 smtp failed-command command="AUTH PLAIN (...)" result="535 Authentication failed"
smtpd[7]: 5c2b1f3e8a7d6c01 smtp authentication user=kim result=ok
smtpd[7]: 5c2b1f3e8a7d6c01 smtp message msgid=1a2b3c4d size=2345 nrcpt=1 proto=ESMTP
smtpd[7]: 5c2b1f3e8a7d6c01 smtp envelope evpid=1a2b3c4d5e6f7081 from=<kim@example.com> to=<lee@example.org>
smtpd[7]: 5c2b1f3e8a7d6c01 smtp disconnected reason=quit
"""
EXIM = """\
exim[7]: 1tXk2a-00000000ABc-0dEf <= kim@example.com H=client.example.net [203.0.113.7] P=esmtpsa A=plain:kim S=2345
exim[7]: 1tXk2a-00000000ABc-0dEf == lee@gmail.com R=dns T=remote_smtp defer (-44): SMTP error from remote \
mail server after RCPT TO:<lee@gmail.com>: host mx.example.net [198.51.100.9]: 451 4.7.1 greylisted
exim[7]: 1tXk2a-00000000ABc-0dEf => lee@gmail.com R=dns T=remote_smtp H=mx.example.net [198.51.100.9] C="250 ok"
exim[7]: 1tXk2a-00000000ABc-0dEf Completed
"""
# What stands for the process or for the time of a look, and not for the log.
OWN = ("process_", "python_", "mailstat_log_lag", "mail_queue", "mailstat_state", "mailstat_build")
# Of what is watched, a kill may lose a minute.
WATCHED = ("mail_provider_blocked", "mail_account", "mail_auth_attacker")


def counted(scrape: Scrape) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (it.name, tuple(sorted(it.labels.items()))): it.value
        for it in scrape.samples
        if not it.name.startswith(OWN + WATCHED) and not it.name.endswith("_created")
    }


@pytest.mark.parametrize("text", [QMAIL, OPENSMTPD, EXIM], ids=["qmail", "opensmtpd", "exim"])
def test_killed_between_all_lines(tmp_path: Path, text: str) -> None:
    lines = [STAMP.format(second) + line + "\n" for second, line in enumerate(text.splitlines())]
    log = tmp_path / "mail.log"
    log.write_text("".join(lines))
    (tmp_path / "whole").mkdir()
    with following(tmp_path / "whole", log) as exporter:
        whole = counted(exporter.until(lambda it: it.lines() == len(lines)))
    log.unlink()
    log.touch()
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    (tmp_path / "killed").mkdir()
    for number, line in enumerate(lines, start=1):
        with following(tmp_path / "killed", log) as exporter, log.open("a") as file:
            file.write(line)
            file.flush()
            found = counted(until_read(exporter, number))
            exporter.process.kill()
            exporter.process.wait()
            exporter.stop = lambda: None  # type: ignore[method-assign]  # it has ended as it should not
    assert found == whole


def until_read(exporter: Exporter, lines: int) -> Scrape:
    """A scrape that shows so many lines: what it shows is on disk."""
    return exporter.until(lambda it: it.lines() == lines)
