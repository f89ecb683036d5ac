"""What the operator says of a probe: the section `probes` of the configuration."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from exporter.probes.sasl import Name as Sasl
from exporter.schema import Between, Duration, Text, doc

_ADDRESS = re.compile(r"[!-;=?A-~]{1,64}@[A-Za-z0-9.\[\]:_-]{1,255}")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SECRET_LIMIT = 65536  # bytes of a file with a secret; tokens may be long
_PORTS = {"implicit": 465, "starttls": 587, "opportunistic": 25, "none": 25}


class SecretError(Exception):
    """A secret cannot be read; the message says which and why, and nothing of it."""


@dataclass(frozen=True, kw_only=True)
class Dkim:
    """A signature of our own (RFC 6376); needs the extra `mailstat[dkim]`."""

    domain: Text = field(metadata=doc("The signing domain."))
    selector: Text = field(metadata=doc("The selector of the public key."))
    key_file: Path = field(metadata=doc("The private key, PEM."))


@dataclass(frozen=True, kw_only=True)
class Send:
    """How the mail is sent. Without `to`, none is: the probe ends when the server would take one."""

    server: Text = field(metadata=doc("Host name or address."))
    port: Annotated[int, Between(1, 65535)] | None = field(
        default=None, metadata=doc("Without it, 465 for implicit TLS, 587 for `starttls`, else 25.")
    )
    protocol: Literal["smtp", "lmtp"] = field(default="smtp", metadata=doc("LMTP (RFC 2033) is for a local store."))
    tls: Literal["starttls", "opportunistic", "implicit", "none"] = field(
        default="starttls", metadata=doc("`starttls` requires it, `opportunistic` takes it where it is offered.")
    )
    verify: bool = field(default=True, metadata=doc("Whether the certificate has to be valid for `server`."))
    ca_file: Path | None = field(default=None, metadata=doc("Trusted authorities, PEM; without it, the host's."))
    server_name: Text | None = field(
        default=None, metadata=doc("The name that the certificate has to have; without it, `server`.")
    )
    username: Text | None = field(default=None, metadata=doc("Who authenticates; without it, nobody."))
    password_file: Path | None = field(
        default=None, metadata=doc("The password, or the token of XOAUTH2; line ends after it do not count.")
    )
    password_env: Text | None = field(default=None, metadata=doc("The environment variable that has it."))
    auth: Sasl | None = field(
        default=None, metadata=doc("The mechanism; without it, the best of those that are offered.")
    )
    from_: Text | None = field(default=None, metadata=doc("The sender's address."))
    to: Text | None = field(default=None, metadata=doc("The recipient's address."))
    helo: Text | None = field(default=None, metadata=doc("The name in EHLO; without it, the host's."))
    family: Literal["any", "ipv4", "ipv6"] = field(default="any", metadata=doc("Which addresses to use."))
    source_address: Text | None = field(default=None, metadata=doc("The own address to send from."))
    pipelining: bool = field(
        default=False, metadata=doc("Send MAIL, RCPT and DATA at once, where that is offered (RFC 2920).")
    )
    size: Annotated[int, Between(0, 10_000_000)] = field(
        default=0, metadata=doc("The mail is filled up to so many bytes.")
    )
    subject: Text = field(default=Text("mailstat probe"), metadata=doc("The subject."))
    text: Text = field(
        default=Text("This mail tests whether mail arrives. It needs no answer."), metadata=doc("The text.")
    )
    dkim: Dkim | None = field(default=None, metadata=doc("Sign the mail."))

    def __post_init__(self) -> None:
        for key, address in (("from", self.from_), ("to", self.to)):
            if address is not None and not _ADDRESS.fullmatch(address):
                raise ValueError(f"{key}: expected an address such as probe@example.com")
        if self.to and not self.from_:
            raise ValueError("from: missing, there is a `to`")
        check_secret(self.username, self.password_file, self.password_env)
        check_text("server", self.server)
        if self.helo:
            check_text("helo", self.helo)
        if self.source_address:
            _check_ip(self.source_address)
            if self.family not in ("any", self.reachable_family):
                raise ValueError("source_address: expected an address of the `family`")

    @property
    def port_number(self) -> int:
        """The port, given or usual."""
        return self.port or _PORTS[self.tls]

    @property
    def reachable_family(self) -> Literal["any", "ipv4", "ipv6"]:
        """The addresses to use: with an own address, only those that can be reached from it."""
        if self.source_address is None:
            return self.family
        return "ipv6" if ip_address(self.source_address).version == 6 else "ipv4"


@dataclass(frozen=True, kw_only=True)
class Account:
    """Where and as whom to log in to a mailbox."""

    server: Text = field(metadata=doc("Host name or address."))
    port: Annotated[int, Between(1, 65535)] | None = field(
        default=None, metadata=doc("Without it, the usual one: for IMAP 993 or 143, for POP3 995 or 110.")
    )
    tls: Literal["implicit", "starttls", "none"] = field(default="implicit", metadata=doc("How TLS begins."))
    verify: bool = field(default=True, metadata=doc("Whether the certificate has to be valid for `server`."))
    ca_file: Path | None = field(default=None, metadata=doc("Trusted authorities, PEM; without it, the host's."))
    username: Text = field(metadata=doc("Who logs in."))
    password_file: Path | None = field(
        default=None, metadata=doc("The password, or the token of XOAUTH2; line ends after it do not count.")
    )
    password_env: Text | None = field(default=None, metadata=doc("The environment variable that has it."))
    delete: bool = field(default=True, metadata=doc("Delete the probe's mails when they are seen."))

    def __post_init__(self) -> None:
        check_secret(self.username, self.password_file, self.password_env)
        check_text("server", self.server)


@dataclass(frozen=True, kw_only=True)
class Imap(Account):
    """A mailbox over IMAP (RFC 3501); the junk folder is found by its special use (RFC 6154)."""

    auth: Literal["LOGIN", "XOAUTH2"] = field(default="LOGIN", metadata=doc("How to log in."))
    folders: tuple[Text, ...] = field(
        default=(), metadata=doc("Where to look; without it, INBOX and the folder for junk.")
    )
    idle: bool = field(
        default=True, metadata=doc("Let the server tell of mail in the first folder (RFC 2177), where it can.")
    )

    @property
    def port_number(self) -> int:
        """The port, given or usual."""
        return self.port or (993 if self.tls == "implicit" else 143)


@dataclass(frozen=True, kw_only=True)
class Pop3(Account):
    """A mailbox over POP3 (RFC 1939)."""

    @property
    def port_number(self) -> int:
        """The port, given or usual."""
        return self.port or (995 if self.tls == "implicit" else 110)


@dataclass(frozen=True, kw_only=True)
class Hook:
    """A server of the exporter's own to which a mail service posts what arrives: the mail (`message/rfc822`), or a
    form or JSON with the mail or with its `message_id`. Without a `web_config_file` it speaks plain HTTP: put it
    behind what does TLS."""

    listen: Text = field(metadata=doc("`127.0.0.1:2580` or the like; any path of it will do."))
    token_file: Path | None = field(
        default=None,
        metadata=doc("What has to be given as `Authorization: Bearer …`, or as the password in the URL's."),
    )
    token_env: Text | None = field(default=None, metadata=doc("The environment variable that has it."))
    web_config_file: Path | None = field(
        default=None,
        metadata=doc(
            "HTTPS, as the `tls_server_config` of this [web configuration](web-configuration.md) says, which may be"
            " the exporter's own; of its users none is asked for, but the token."
        ),
    )

    def __post_init__(self) -> None:
        if (self.token_file is None) == (self.token_env is None):
            raise ValueError("token_file: expected either token_file or token_env")
        if not re.fullmatch(r"(?:\[[0-9a-f:]+\]|[\w.-]*):\d{1,5}", self.listen):
            raise ValueError("listen: expected an address such as 127.0.0.1:2580")


@dataclass(frozen=True, kw_only=True)
class Arrive:
    """Where the mail has to arrive: one of these."""

    imap: Imap | None = field(default=None, metadata=doc("A mailbox over IMAP."))
    pop3: Pop3 | None = field(default=None, metadata=doc("A mailbox over POP3."))
    maildir: Path | None = field(default=None, metadata=doc("A Maildir on this host; `.Junk` and the like are junk."))
    mbox: Path | None = field(default=None, metadata=doc("An mbox on this host; nothing is deleted from it."))
    sink: Text | None = field(
        default=None, metadata=doc("`smtp://127.0.0.1:2525` or `lmtp://…`: a server of the exporter's own.")
    )
    hook: Hook | None = field(default=None, metadata=doc("A mail service posts it to the exporter over HTTP."))
    log: bool = field(
        default=False,
        metadata=doc(
            "No mailbox: that the followed logs tell of its delivery to the next host is enough. Not with qmail, "
            "whose log does not tell which mail is which."
        ),
    )
    every: Duration = field(default=Duration(5.0), metadata=doc("How often to look, while a mail is awaited."))
    authserv_id: Text | None = field(
        default=None,
        metadata=doc(
            "Whose `Authentication-Results` are believed, as `mx.example.net`; without it, the topmost in the mail."
        ),
    )

    def __post_init__(self) -> None:
        given = [self.imap, self.pop3, self.maildir, self.mbox, self.sink, self.hook, self.log or None]
        if sum(one is not None for one in given) != 1:
            raise ValueError("expected exactly one of imap, pop3, maildir, mbox, sink, hook, log")
        if self.sink and not re.fullmatch(r"(?:smtp|lmtp)://(?:\[[0-9a-f:]+\]|[\w.-]+):\d{1,5}", self.sink):
            raise ValueError("sink: expected such as smtp://127.0.0.1:2525")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A mail that is sent time and again, and where it has to arrive. It is also a module of `/probe`."""

    name: Text = field(metadata=doc("The label `probe`: letters, digits, `_`, `.`, `-`."))
    every: Duration | None = field(default=None, metadata=doc("How often; without it, only when `/probe` asks."))
    timeout: Duration = field(default=Duration(30.0), metadata=doc("How long sending may take."))
    send: Send = field(metadata=doc("How the mail is sent."))
    arrive: Arrive | None = field(default=None, metadata=doc("Where it has to arrive; without it, nobody looks."))
    late_after: Duration = field(default=Duration(120.0), metadata=doc("A mail that takes longer is late."))
    lost_after: Duration = field(default=Duration(1800.0), metadata=doc("One that takes longer is lost."))
    targets: tuple[Text, ...] = field(
        default=(), metadata=doc("Other servers that `/probe` may ask for, `host` or `host:port`.")
    )

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("name: expected letters, digits, _, ., - (at most 64)")
        if self.every is not None and self.every < 1:
            raise ValueError("every: expected at least 1s")
        if not 0 < self.timeout <= 600:
            raise ValueError("timeout: expected more than nothing and at most 10m")
        if not 0 < self.late_after <= self.lost_after:
            raise ValueError("lost_after: expected at least late_after")
        for target in self.targets:
            check_text("targets", target)
        if self.arrive and not self.send.to:
            raise ValueError("send.to: missing, there is an `arrive`")


def check_secret(username: str | None, file: Path | None, variable: str | None) -> None:
    """Raises ValueError unless there is one source of a secret for a user, or neither."""
    if file and variable:
        raise ValueError("password_env: expected password_file or password_env, not both")
    if username and not (file or variable):
        raise ValueError("password_file: missing, there is a username")
    if (file or variable) and not username:
        raise ValueError("username: missing, there is a password")


def check_text(key: str, text: str) -> None:
    """Raises ValueError for what would not be one word of a command."""
    if not re.fullmatch(r"[\w.:%\[\]-]+", text, re.ASCII):  # nor `user:password@`, which would be shown
        raise ValueError(f"{key}: expected a host name or an address")


def _check_ip(text: str) -> None:
    try:
        ip_address(text)
    except ValueError:
        raise ValueError("source_address: expected an address such as 192.0.2.1") from None


def secret(file: Path | None, variable: str | None) -> str:
    """The secret that is kept there, read anew each time, so that a new one needs no reload; SecretError if none."""
    if variable:
        value = os.environ.get(variable)
        if not value:
            raise SecretError(f"the environment variable {variable} is not set")
        return value
    if file is None:
        return ""
    try:
        with file.open("rb") as opened:
            text = opened.read(_SECRET_LIMIT).decode("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"{file}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    if not text:
        raise SecretError(f"{file}: empty")
    return text
