"""The page in a real browser: no error, no script of a hostile log, the colours of the day and of the night."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from datetime import UTC
from pathlib import Path

import pytest

from mailstat import render
from mailstat.report import Chart, Column, Figure, Report, Section

BROWSER = shutil.which("chromium")
HOSTILE = "</title></style><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
REPORT = Report(
    HOSTILE,
    HOSTILE,
    [Section(HOSTILE, [Column("a"), Column(HOSTILE, "number")], [[HOSTILE, HOSTILE], ["b", 1]])],
    figures=[Figure(HOSTILE, HOSTILE), Figure("delay", 1.5, "seconds")],
    charts=[
        Chart(HOSTILE, "columns", [HOSTILE, "b"], {"sent": [1, 2], HOSTILE: [1, 2]}),
        Chart("Lying", "bars", [HOSTILE, "b"], {"sent": [1, 2], "bounced": [1, 2]}),
        Chart("Ring", "ring", [""], {"sent": [3], "bounced": [1]}),
    ],
)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium here")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    out = io.StringIO()
    render.render("html", REPORT, out, zone=UTC)
    path = tmp_path / "report.html"
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What the browser prints, and what it complains of."""
    assert BROWSER
    return subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={page.parent / 'profile'}",
            "--enable-logging=stderr",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=True,
    )


def test_the_page_is_read_without_an_error_and_runs_nothing(page: Path) -> None:
    done = browse(page, "--dump-dom")
    assert "CONSOLE" not in done.stderr
    assert "<script" not in done.stdout
    assert "<title>&lt;/title&gt;" in done.stdout
    assert done.stdout.count("<svg") == 3


def test_the_browser_would_refuse_a_script_and_a_foreign_image(page: Path) -> None:
    text = page.read_text().replace(
        "</main>", '<script>document.title="owned"</script><img src="https://example.com/x">'
    )
    page.write_text(text)
    done = browse(page, "--dump-dom")
    assert len(re.findall("CONSOLE.*Content Security Policy", done.stderr)) == 2
    assert "<title>owned" not in done.stdout


def test_there_are_colours_for_the_day_and_for_the_night(page: Path) -> None:
    shots = []
    for preferred in ("1", "0"):
        shot = page.parent / f"{preferred}.png"
        browse(page, f"--screenshot={shot}", f"--blink-settings=preferredColorScheme={preferred}")
        shots.append(shot.read_bytes())
    assert shots[0][:4] == shots[1][:4] == b"\x89PNG"
    assert shots[0] != shots[1]


def test_the_page_can_be_printed(page: Path) -> None:
    paper = page.parent / "report.pdf"
    browse(page, f"--print-to-pdf={paper}")
    assert paper.read_bytes().startswith(b"%PDF")
