"""SASL mechanisms of a client: PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195), SCRAM-SHA-256 (RFC 5802, 7677) and
XOAUTH2 (Google's, Microsoft's too).

A mechanism has the `initial` response, where it begins, and answers the server's challenges one after the other.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Literal, Protocol

from exporter.probes.failure import ProbeError

Name = Literal["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2"]
CLEAR = frozenset({"PLAIN", "LOGIN", "XOAUTH2"})
"""Those that show the secret to whoever listens."""

PREFERRED: tuple[Name, ...] = ("SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5")
_ITERATIONS = 1_000_000  # of SCRAM: half a second; servers ask for 4096 to some hundred thousand


class Mechanism(Protocol):
    """A client's side of an exchange. `is_proven` is whether the server has shown that it knows the secret too,
    where the mechanism makes it."""

    initial: bytes | None
    is_proven: bool

    def answer(self, challenge: bytes) -> bytes:
        """The response to a challenge. Raises ProbeError where the server does not keep to the mechanism."""
        ...


class _Steps:
    """A mechanism whose answers do not depend on the challenges."""

    is_proven = True

    def __init__(self, initial: bytes | None, *answers: bytes) -> None:
        self.initial = initial
        self._answers: Iterator[bytes] = iter(answers)

    def answer(self, _challenge: bytes) -> bytes:
        for answer in self._answers:
            return answer
        raise ProbeError("protocol_error", "a challenge too many")


class _CramMd5:
    is_proven = True

    def __init__(self, username: str, secret: str) -> None:
        self.initial: bytes | None = None
        self._username = username
        self._secret = secret
        self._is_answered = False

    def answer(self, challenge: bytes) -> bytes:
        if self._is_answered:  # each answer is one more to guess the secret from
            raise ProbeError("protocol_error", "a challenge too many")
        self._is_answered = True
        return f"{self._username} {hmac.new(self._secret.encode(), challenge, hashlib.md5).hexdigest()}".encode()


class _Scram:
    """Without channel binding: Python has only the one that TLS 1.3 left behind."""

    is_proven = False

    def __init__(self, username: str, secret: str, nonce: str) -> None:
        self._secret = secret.encode()
        self._nonce = nonce
        name = username.replace("=", "=3D").replace(",", "=2C")
        self._first = f"n={name},r={nonce}"
        self.initial: bytes | None = f"n,,{self._first}".encode()
        self._signature: bytes | None = None

    def answer(self, challenge: bytes) -> bytes:
        fields = _fields(challenge)
        if self._signature is None:
            return self._prove(challenge, fields)
        if self.is_proven or not hmac.compare_digest(_decoded(fields.get("v", "")), self._signature):
            raise ProbeError("protocol_error", "the server does not know the password")
        self.is_proven = True
        return b""

    def _prove(self, challenge: bytes, fields: dict[str, str]) -> bytes:
        nonce, salt, count = (fields.get(name, "") for name in "rsi")
        if not nonce.startswith(self._nonce) or not count.isascii() or not count.isdigit() or len(count) > 7:
            raise ProbeError("protocol_error", "no SCRAM challenge")
        if not 1 <= int(count) <= _ITERATIONS:
            raise ProbeError("protocol_error", "SCRAM with too many iterations")
        salted = hashlib.pbkdf2_hmac("sha256", self._secret, _decoded(salt), int(count))
        last = f"c={b64encode(b'n,,').decode()},r={nonce}"
        signed = b",".join((self._first.encode(), challenge, last.encode()))
        key = _hmac(salted, b"Client Key")
        proof = bytes(a ^ b for a, b in zip(key, _hmac(hashlib.sha256(key).digest(), signed), strict=True))
        self._signature = _hmac(_hmac(salted, b"Server Key"), signed)
        return f"{last},p={b64encode(proof).decode()}".encode()


def mechanism(name: Name, username: str, secret: str, nonce: str) -> Mechanism:
    """This mechanism for this user; `nonce` is random text without a comma, for SCRAM."""
    match name:
        case "PLAIN":
            return _Steps(f"\0{username}\0{secret}".encode())
        case "LOGIN":
            return _Steps(None, username.encode(), secret.encode())
        case "CRAM-MD5":
            return _CramMd5(username, secret)
        case "XOAUTH2":
            # The challenge to it is an error in JSON, which wants an empty answer before the reply.
            return _Steps(f"user={username}\x01auth=Bearer {secret}\x01\x01".encode(), b"")
        case "SCRAM-SHA-256":
            return _Scram(username, secret, nonce)


def chosen(wanted: Name | None, offered: frozenset[str], *, may_show: bool) -> Name:
    """The mechanism to use: the wanted one, or the best that is offered; one that shows the secret only where that
    `may_show`. Raises ProbeError where there is none."""
    for name in (wanted,) if wanted else PREFERRED:
        if name in offered and (may_show or name not in CLEAR):
            return name
    if not may_show and offered & CLEAR:
        raise ProbeError("plaintext_auth", "the password would go in the clear")
    words = ", ".join(sorted(offered)) or "nothing"
    raise ProbeError("auth_not_offered", f"wanted {wanted or 'any mechanism'}, offered {words[:200]}")


def decode(challenge: str) -> bytes:
    """The bytes of a challenge as the protocol gives it. Raises ProbeError where it is not base64."""
    return _decoded(challenge)


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise ProbeError("protocol_error", "a challenge that is not base64") from None


def _fields(challenge: bytes) -> dict[str, str]:
    parts = challenge.decode("utf-8", "replace").split(",")
    return {part[:1]: part[2:] for part in parts if part[1:2] == "="}


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()
