"""Who may come in by name and password; who guesses, and what it costs the others."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from exporter.door import password
from exporter.door.password import MOST_OF_ALL, MOST_OF_ONE, REMEMBERED, BusyError, Passwords
from tests.exporter.door.place import Place, ask, hashed

ALICE, BOB = hashed("correct horse"), hashed("pässwörd:with:colons")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users:\n  alice: {ALICE}\n  bób: {BOB}\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("login", "status"),
    [
        ("alice:correct horse", 200),
        ("bób:pässwörd:with:colons", 200),
        ("alice:wrong", 401),
        ("alice:", 401),
        ("Alice:correct horse", 401),
        ("carol:correct horse", 401),
        (":", 401),
        ("alice", 401),
        (f"alice:{'x' * 1000}", 401),
        ("alice:correct horse\0", 401),
        (None, 401),
    ],
)
@pytest.mark.parametrize("path", ["/metrics", "/", "/-/healthy", "/absent"])
def test_who_may_come_in(place: Place, config: Path, login: str | None, status: int, path: str) -> None:
    place.open(config)
    answer = place.get(path, login=login)
    assert answer.status == (404 if status == 200 and path == "/absent" else status)
    if status == 401:
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="mailstat", charset="UTF-8"'
        assert answer.body == b"401 Unauthorized\n"


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic !!!",
        "Basic AAA",
        "Bearer abc",
        "Basic /////w==",
        "basic",
        "",
        "Digest a=b",
        "Basic " + "A" * 3000,
    ],
)
def test_a_header_that_is_none(place: Place, config: Path, header: str) -> None:
    place.open(config)
    connection = place.client()
    connection.request("GET", "/metrics", headers={"Authorization": header})
    assert connection.getresponse().status == 401
    connection.close()


def test_reloading_needs_a_login_too(place: Place, config: Path) -> None:
    place.open(config)
    connection = place.client()
    connection.request("POST", "/-/reload")
    assert connection.getresponse().status == 401
    connection.close()


def test_a_changed_file_counts_from_the_next_request_on(place: Place, config: Path) -> None:
    place.open(config)
    connection = place.client()
    assert ask(connection, login="alice:correct horse").status == 200
    config.write_text(f"basic_auth_users:\n  alice: {hashed('another')}\n")
    assert ask(connection, login="alice:correct horse").status == 401
    assert ask(connection, login="alice:another").status == 200
    config.write_text("basic_auth_users:\n  alice: another\n")  # no hash: refused
    assert ask(connection, login="alice:another").status == 200
    config.unlink()
    assert ask(connection).status == 401
    connection.close()


def test_a_file_that_is_being_written_opens_no_door(place: Place, config: Path) -> None:
    """Truncated first, as editors and `>` do it, it is empty for a moment."""
    place.open(config)
    text = config.read_text(encoding="utf-8")
    config.write_text("")
    assert place.get().status == 401
    assert not place.door.is_current()
    config.write_text(text)
    assert place.get(login="alice:correct horse").status == 200
    assert place.door.is_current()
    config.write_text("{}\n")  # so one says that everybody may come in
    assert place.get().status == 200


def test_headers_and_the_rate_are_those_of_the_file(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(
        "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    Content-Security-Policy: default-src\n"
        "rate_limit: {interval: 10s, burst: 2}\n"
    )
    now = [1000.0]
    place.now = lambda: now[0]
    place.open(path)
    answers = [place.get() for _ in range(3)]
    assert [it.status for it in answers] == [200, 200, 429]
    assert {it.headers["X-Frame-Options"] for it in answers} == {"deny"}
    assert {it.headers["Content-Security-Policy"] for it in answers} == {"default-src"}
    assert answers[0].headers["X-Content-Type-Options"] == "nosniff"
    now[0] += 9.9
    assert place.get().status == 429
    now[0] += 0.2
    assert [place.get().status for _ in range(2)] == [200, 429]
    path.write_text("{}\n")
    assert place.get().status == 200


# What a check costs


def run(scene):
    """Play with passwords, in a loop of their own."""

    async def play():
        passwords = Passwords()
        try:
            return await scene(passwords)
        finally:
            passwords.close()

    return asyncio.run(play())


def test_a_password_that_was_right_costs_no_hash_again() -> None:
    async def scene(passwords: Passwords) -> None:
        for _ in range(3):
            assert await passwords.is_right({"alice": ALICE}, "alice", "correct horse", "192.0.2.1")
            assert not await passwords.is_right({"alice": ALICE}, "alice", "wrong", "192.0.2.1")
        assert passwords.checks == 2

    run(scene)


def test_no_number_of_wrong_passwords_makes_a_right_one_forgotten() -> None:
    async def scene(passwords: Passwords) -> None:
        users = {"alice": ALICE}
        assert await passwords.is_right(users, "alice", "correct horse", "192.0.2.1")
        for number in range(2 * REMEMBERED):
            assert not await passwords.is_right(users, "alice", str(number), "192.0.2.2")
        before = passwords.checks
        assert await passwords.is_right(users, "alice", "correct horse", "192.0.2.1")
        assert passwords.checks == before
        assert not await passwords.is_right(users, "alice", "0", "192.0.2.2")  # what is kept is bounded
        assert passwords.checks == before + 1

    run(scene)


def test_a_user_that_there_is_not_is_checked_as_those_are_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is what an attacker can measure: it is looked at itself, for a clock would tell nothing here."""
    work: list[str] = []
    check = password._check

    def noted(text: str, against: bytes) -> bool:
        work.append(against[:7].decode())
        return check(text, against)

    monkeypatch.setattr(password, "_check", noted)
    users = {"alice": hashed("a", 4), "bob": hashed("b", 5)}

    async def scene(passwords: Passwords) -> None:
        for number in range(40):
            assert not await passwords.is_right(users, f"user{number}", "x", "192.0.2.1")
        of_unknown = work.copy()
        assert set(of_unknown) == {"$2b$04$", "$2b$05$"}
        for number in range(40):  # another password, the same user: the same cost
            assert not await passwords.is_right(users, f"user{number}", "y", "192.0.2.1")
        assert work[40:] == of_unknown
        assert not await passwords.is_right(users, "user0", "x", "192.0.2.1")
        assert len(work) == 80

    run(scene)


def test_who_guesses_waits_for_himself_alone() -> None:
    async def scene(passwords: Passwords) -> None:
        users = {"alice": hashed("right", 8)}

        async def guess(number: int) -> bool:
            return await passwords.is_right(users, "alice", f"guess {number}", "192.0.2.66")

        guesses = [asyncio.create_task(guess(number)) for number in range(50)]
        await asyncio.sleep(0)
        assert await passwords.is_right(users, "alice", "right", "192.0.2.1")
        assert sum(it.done() and not it.exception() for it in guesses) <= 1
        done = await asyncio.gather(*guesses, return_exceptions=True)
        assert sum(isinstance(it, BusyError) for it in done) == 50 - MOST_OF_ONE
        assert done.count(False) == MOST_OF_ONE

    run(scene)


def test_so_many_at_once_and_no_more() -> None:
    async def scene(passwords: Passwords) -> None:
        users = {"alice": ALICE}
        tasks = [
            asyncio.create_task(passwords.is_right(users, "alice", str(number), f"192.0.2.{number}"))
            for number in range(MOST_OF_ALL + 10)
        ]
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(it, BusyError) for it in done) == 10
        assert not await passwords.is_right(users, "alice", "again", "192.0.2.250")

    run(scene)


def test_one_network_of_ipv6_is_one_client() -> None:
    async def scene(passwords: Passwords) -> None:
        users = {"alice": ALICE}
        tasks = [
            asyncio.create_task(passwords.is_right(users, "alice", str(number), f"2001:db8::{number}"))
            for number in range(10)
        ]
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(it, BusyError) for it in done) == 10 - MOST_OF_ONE

    run(scene)


def test_the_loop_goes_on_while_a_password_is_hashed() -> None:
    async def scene(passwords: Passwords, cost: int) -> int:
        users = {"alice": hashed("right", cost)}
        task = asyncio.create_task(passwords.is_right(users, "alice", "wrong", "192.0.2.1"))
        turns = 0
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert any(run(partial(scene, cost=cost)) > 3 for cost in (10, 12, 14))  # where others have the processor
