"""What the operator asks for: one YAML file, checked strictly.

A section is a frozen dataclass, a key is a field of it: its type says what is accepted, its `doc` what it is
for. Checks and the documentation page are made from them. To add a section, add a dataclass and a field of
`Config`.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from exporter import yamlfile
from exporter.probes.estate import Negative, Posture, ResolverSection
from exporter.probes.section import Probe
from exporter.schema import Between, Duration, InvalidError, Mta, Text, doc, expected, key_of, shown, structure
from exporter.sources.address import Address, Network, shown_address
from exporter.sources.frame import FRAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIX_BYTES = 108  # of sun_path, unix(7)


class ConfigError(InvalidError):
    """The configuration is refused; `errors` has one line for each thing that is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class JournalSource:
    """The systemd journal of all boots, and with it those of other machines that lie in its directory."""

    unit: Text | None = field(
        default=None,
        metadata=doc(
            "The unit, or a pattern of those that the journal knows at the start, as `postfix@*`. Without it, what"
            " has the facility `mail`, and the units of all mail servers that we read."
        ),
    )
    directory: Path | None = field(
        default=None, metadata=doc("Where the journal is, if it is not this host's: `/host/var/log/journal`.")
    )


@dataclass(frozen=True, kw_only=True)
class SyslogSource:
    """A syslog server, for messages of RFC 3164 and of RFC 5424."""

    listen: Text = field(
        metadata=doc(
            "`udp://HOST:PORT`, `tcp://HOST:PORT`, `tls://HOST:PORT`, or `unix:///PATH` (datagrams, as `/dev/log`)."
            " Without HOST, every address."
        )
    )
    cert_file: Path | None = field(default=None, metadata=doc("TLS: the certificate, with those of its issuers."))
    key_file: Path | None = field(default=None, metadata=doc("TLS: its key. Both are read again when they change."))
    client_ca_file: Path | None = field(
        default=None, metadata=doc("TLS: who signs the certificates that clients have to show.")
    )
    allow: tuple[Text, ...] = field(
        default=(), metadata=doc("Networks of senders, as `192.0.2.0/24`. Without it, whoever reaches the address.")
    )
    clients: Annotated[int, Between(1, 10_000)] = field(
        default=100, metadata=doc("Connections at a time; others are turned away.")
    )
    frame_bytes: Annotated[int, Between(480, 1 << 20)] = field(
        default=FRAME_BYTES, metadata=doc("Of a longer message, the rest is skipped and counted.")
    )
    idle: Duration = field(
        default=Duration(3600.0), metadata=doc("A connection that is silent for so long is closed.")
    )

    def __post_init__(self) -> None:
        """Refuse an address that is none, networks that are none, and TLS without a certificate."""
        scheme = address_of(self.listen).scheme
        for network in self.allow:
            network_of(network)
        if (scheme == "tls") != bool(self.cert_file and self.key_file):
            raise ValueError("cert_file and key_file: needed for tls://, and for nothing else")


@dataclass(frozen=True, kw_only=True)
class StdinSource:
    """Standard input, until it ends. It has no keys: `{}`."""


@dataclass(frozen=True, kw_only=True)
class LogSource:
    """Where a log comes from: exactly one of the first six keys."""

    file: Path | None = field(
        default=None,
        metadata=doc(
            "A log file, followed through its rotations. A relative path starts where the configuration file is. With"
            " `*`, `?` or `[`, all files of such names, which are one source."
        ),
    )
    directory: Path | None = field(
        default=None, metadata=doc("All files of a directory, as Exchange writes a new one each day or hour.")
    )
    container: Path | None = field(
        default=None,
        metadata=doc(
            "Files that a container runtime writes (CRI, or Docker's json-file), as `/var/log/pods/*/*/*.log`."
        ),
    )
    journal: JournalSource | None = field(default=None, metadata=doc("The systemd journal; `{}` for all mail in it."))
    syslog: SyslogSource | None = field(default=None, metadata=doc("Listen for syslog messages."))
    stdin: StdinSource | None = field(default=None, metadata=doc("`{}`: read standard input."))
    files: Annotated[int, Between(1, 10_000)] = field(
        default=500, metadata=doc("So many files of one source are followed: those that were written last.")
    )
    mta: Mta | None = field(
        default=None, metadata=doc("The mail server that writes it. Without it, each line's program tells.")
    )
    timezone: ZoneInfo | None = field(
        default=None,
        metadata=doc("The zone of its times, where they name none. Without it, the top level's `timezone`."),
    )

    def __post_init__(self) -> None:
        """Refuse what would be no source, or two."""
        if sum(getattr(self, kind) is not None for kind in KINDS) != 1:
            raise ValueError(f"expected exactly one of {', '.join(KINDS)}")

    @property
    def kind(self) -> str:
        """Which of the keys it has."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def name(self) -> str:
        """The value of the label `source`: what is configured, with what is no text in it escaped."""
        if self.journal:
            parts = ("journal", self.journal.directory, self.journal.unit)
            return ":".join(_escaped(part) for part in parts if part)
        if self.syslog:
            return shown_address(address_of(self.syslog.listen))
        return _escaped(self.file or self.directory or self.container or "stdin")


KINDS = ("file", "directory", "container", "journal", "syslog", "stdin")


def _escaped(text: object) -> str:
    return str(text).encode("utf-8", "backslashreplace").decode()


def address_of(text: str) -> Address:
    """Where to listen. Raises ValueError with what was expected."""
    wrong = f"listen: expected udp://, tcp:// or tls://HOST:PORT, or unix:///PATH, got {shown(text)}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(wrong) from None
    if parts.scheme == "unix" and not parts.netloc and parts.path != "/" and len(parts.path.encode()) < UNIX_BYTES:
        return Address("unix", path=parts.path)
    is_plain = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in ("udp", "tcp", "tls") or port is None or not is_plain:
        raise ValueError(wrong)
    return Address(parts.scheme, parts.hostname or "", port)


def network_of(text: str) -> Network:
    """A network of senders. Raises ValueError with what was expected."""
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"allow: expected a network such as 192.0.2.0/24, got {shown(text)}") from None


@dataclass(frozen=True, kw_only=True)
class Spool:
    """Where a server keeps its queue."""

    spool: Path = field(metadata=doc("The directory, as `/var/spool/exim4`."))
    service: Text | None = field(
        default=None,
        metadata=doc("The label `service`. Without it, the server's name; of Postfix and Sendmail, the directory's."),
    )


@dataclass(frozen=True, kw_only=True)
class PostfixSpool(Spool):
    """Where a Postfix instance keeps its queue. Its showq service is asked, else its directories or `postqueue`."""

    showq: Text | None = field(
        default=None,
        metadata=doc("The showq service: a socket or HOST:PORT. Without it, `public/showq` in the directory."),
    )


@dataclass(frozen=True, kw_only=True)
class QueueSource:
    """One queue to scan: exactly one of the keys."""

    postfix: PostfixSpool | None = field(default=None, metadata=doc("A Postfix instance."))
    exim: Spool | None = field(default=None, metadata=doc("Exim, whose directory has `input`."))
    sendmail: Spool | None = field(default=None, metadata=doc("Sendmail: `mqueue`, or `mqueue-client`."))
    opensmtpd: Spool | None = field(default=None, metadata=doc("OpenSMTPD, whose directory has `queue`."))
    qmail: Spool | None = field(default=None, metadata=doc("qmail: the directory that has `mess`."))

    def __post_init__(self) -> None:
        """Refuse what would be no queue, or two."""
        if sum(getattr(self, key.name) is not None for key in fields(self)) != 1:
            raise ValueError(f"expected exactly one of {', '.join(key.name for key in fields(self))}")


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The series budget: how many values a label of an open set may have. What comes later is `other`."""

    providers: Annotated[int, Between(1, 1000)] = field(
        default=32, metadata=doc("Values of the label `provider`: who runs the destination.")
    )
    domains: Annotated[int, Between(0, 1000)] = field(
        default=0, metadata=doc("Values of the label `domain`; 0 keeps domains out of the metrics.")
    )
    idle_hours: Annotated[int, Between(1, 8760)] = field(
        default=24, metadata=doc("A domain without deliveries for so long leaves; it goes on from where it was.")
    )


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """When a provider is said to block us. Only refusals by reputation, policy or rate count, and each message once;
    [metrics.md](metrics.md#a-provider-that-blocks-us) has the rule."""

    messages: Annotated[int, Between(1, 100_000)] = field(
        default=10, metadata=doc("So many more messages refused than accepted are a block.")
    )
    minutes: Annotated[int, Between(0, 1440)] = field(
        default=5, metadata=doc("How long that has to last, so that one burst of bad messages is none.")
    )
    recovery: Annotated[int, Between(1, 100_000)] = field(
        default=5, metadata=doc("So many more messages accepted than three times those refused end it.")
    )
    silence_hours: Annotated[int, Between(1, 720)] = field(
        default=24,
        metadata=doc("A block ends, and what was counted is forgotten, when nothing is tried for so long."),
    )


@dataclass(frozen=True, kw_only=True)
class Quota:
    """What each account may send in an hour; 0 is without limit."""

    messages: Annotated[int, Between(0, 10_000_000)] = field(default=0, metadata=doc("Messages in an hour."))
    recipients: Annotated[int, Between(0, 10_000_000)] = field(default=0, metadata=doc("Recipients in an hour."))


@dataclass(frozen=True, kw_only=True)
class OwnQuota:
    """The quota of one account, or of each account of one domain; an account's own comes first."""

    of: Text = field(metadata=doc("An account, as it authenticates, or a domain of accounts."))
    messages: Annotated[int, Between(0, 10_000_000)] = field(default=0, metadata=doc("Messages in an hour."))
    recipients: Annotated[int, Between(0, 10_000_000)] = field(default=0, metadata=doc("Recipients in an hour."))


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """Who authenticates: what they may send, and what makes one suspicious within an hour. Names of accounts stand in
    the exporter's log and in `mailstat senders`, never in a metric."""

    quota: Quota = field(default_factory=Quota, metadata=doc("The quota of whoever has no other."))
    quotas: tuple[OwnQuota, ...] = field(
        default=(),
        metadata=doc("Quotas of single accounts and domains; what exceeds an account's own is suspicious."),
    )
    messages: Annotated[int, Between(1, 10_000_000)] = field(
        default=100, metadata=doc("From so many messages on, a volume is suspicious, if it is unusual too.")
    )
    surge: Annotated[int, Between(1, 1000)] = field(
        default=5, metadata=doc("So many times what the account sends in an hour is unusual.")
    )
    recipients: Annotated[int, Between(1, 5000)] = field(
        default=300, metadata=doc("So many different recipients are suspicious.")
    )
    clients: Annotated[int, Between(2, 1000)] = field(
        default=10, metadata=doc("So many different client addresses are suspicious.")
    )
    bounces: Annotated[int, Between(1, 100)] = field(
        default=30, metadata=doc("Such a share of failed deliveries, in percent, is suspicious; of 20 at least.")
    )


@dataclass(frozen=True, kw_only=True)
class Attacks:
    """When a block of client addresses (/24 of IPv4, /64 of IPv6) is said to guess passwords, within an hour."""

    failures: Annotated[int, Between(1, 1_000_000)] = field(
        default=20, metadata=doc("So many failures are a hammer.")
    )
    users: Annotated[int, Between(2, 1000)] = field(default=10, metadata=doc("So many different users are a spray."))
    blocks: Annotated[int, Between(2, 1000)] = field(
        default=10, metadata=doc("To try a user whom so many blocks try is a spray, too.")
    )


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole file."""

    sources: tuple[LogSource, ...] = field(
        default=(), metadata=doc("What to follow. Without it, the mail logs that the host is found to have.")
    )
    queues: tuple[QueueSource, ...] = field(
        default=(), metadata=doc("Which queues to scan. Without it, those that the host is found to have.")
    )
    labels: Labels = field(default_factory=Labels, metadata=doc("The series budget."))
    blocks: Blocks = field(default_factory=Blocks, metadata=doc("When a provider blocks us."))
    attacks: Attacks = field(default_factory=Attacks, metadata=doc("Who guesses passwords."))
    accounts: Accounts = field(
        default_factory=Accounts, metadata=doc("Quotas, and what makes an account suspicious.")
    )
    timezone: ZoneInfo | None = field(
        default=None, metadata=doc("The zone of log times that name none. Without it, the zone of the host.")
    )

    reasons: Path | None = field(
        default=None, metadata=doc("Rules and classes of reasons of your own, see [reasons.md](reasons.md).")
    )
    providers: Path | None = field(default=None, metadata=doc("Providers of your own, see [reasons.md](reasons.md)."))
    probes: tuple[Probe, ...] = field(default=(), metadata=doc("Mail that is sent to see whether it arrives."))
    posture: tuple[Posture, ...] = field(
        default=(), metadata=doc("Domains whose DNS is looked at; needs the extra `mailstat[posture]`.")
    )
    negative: tuple[Negative, ...] = field(
        default=(), metadata=doc("Servers of our own that have to refuse what an abuser would try.")
    )
    resolver: ResolverSection = field(default_factory=ResolverSection, metadata=doc("Who is asked in the DNS."))

    def __post_init__(self) -> None:
        """Refuse to follow a log twice: all its mail would be counted twice."""
        first: dict[str, int] = {}
        for index, source in enumerate(self.sources):
            earlier = first.setdefault(source.name, index)
            if earlier != index:
                raise ValueError(
                    f"sources[{index}].{source.kind}: {shown(source.name)} is followed by sources[{earlier}]"
                )
        places: dict[str, str] = {}  # all of them are values of the label `probe`
        for section in ("probes", "posture", "negative"):
            for index, named in enumerate(getattr(self, section)):
                place = f"{section}[{index}]"
                if places.setdefault(named.name, place) != place:
                    raise ValueError(f"{place}.name: {shown(named.name)} is the name of {places[named.name]}")


def load_config(path: Path) -> Config:
    """The configuration in this file; an empty file is one where every key is left out.

    Raises ConfigError with all that is wrong: each error names the file and the key, says what was expected,
    and the nearest thing that is known.
    """
    try:
        content = yamlfile.load(path)
        config = Config() if content is None else structure(content, Config, path.parent)
    except InvalidError as invalid:
        raise ConfigError(f"{path}: {error}" for error in invalid.errors) from None
    if config.reasons or config.providers:
        _check_lore(config)
    _check_hooks(config)
    return config


def _check_hooks(config: Config) -> None:
    """Read the web configurations of hooks, each of which is there for TLS."""
    paths = [hook.web_config_file for probe in config.probes if probe.arrive and (hook := probe.arrive.hook)]
    errors = [error for path in dict.fromkeys(paths) if path for error in _tls_errors(path)]
    if errors:
        raise ConfigError(errors)


def _tls_errors(path: Path) -> list[str]:
    from exporter.door import section, tls  # noqa: PLC0415 - only where a hook has TLS

    try:
        wanted = section.load_web_config(path).tls
    except InvalidError as invalid:
        return invalid.errors
    if wanted is None:
        return [f"{path}: tls_server_config: missing, a hook has this file for TLS"]
    try:
        tls.context(wanted)
    except InvalidError as invalid:
        return [f"{path}: {error}" for error in invalid.errors]
    return []


def _check_lore(config: Config) -> None:
    """Read the files that the configuration names, which tell by themselves what is wrong with them."""
    from exporter import lore  # noqa: PLC0415 - the rules are read only where somebody has more of them

    errors = []
    for load, path in ((lore.load_reasons, config.reasons), (lore.load_providers, config.providers)):
        try:
            if path:
                load(path)
        except InvalidError as invalid:
            errors += invalid.errors
    if errors:
        raise ConfigError(errors)


_INTRODUCTION = f"""\
# Configuration

One YAML file, given with `--config.file`. Every key that is not required may be left out, and so may the
file. It is checked strictly: an unknown key, a wrong type or an impossible value is refused, with all errors
at once; `--config.check` does nothing else. `SIGHUP` and `POST /-/reload` read the file again; a bad one
leaves the running configuration in force. It has at most {yamlfile.SIZE_LIMIT // 1024} KiB of UTF-8,
and merge keys (`<<`) are not for it.

```yaml
sources:
  - file: /var/log/mail.log
  - file: /srv/relay/mail.log
    timezone: Europe/Prague
  - journal: {{}}
labels: {{providers: 32, domains: 0}}
timezone: UTC
```
"""


def describe() -> str:
    """The documentation page of the configuration, in Markdown, made from the classes above."""
    return _INTRODUCTION + "".join(describe_section(Config, "Top level"))


def describe_section(section: Any, title: str) -> Iterator[str]:
    """A section and those below it as tables of keys, in Markdown."""
    kinds = {name: _bare(kind) for name, kind in get_type_hints(section, include_extras=True).items()}
    yield f"\n## {title}\n\n{section.__doc__}\n\n| key | accepts | default | meaning |\n|---|---|---|---|\n"
    for key in fields(section):
        meaning = key.metadata["doc"]
        yield f"| `{key_of(key.name)}` | {expected(kinds[key.name])} | {_default(key)} | {meaning} |\n"
    for field_name, kind in kinds.items():
        name = key_of(field_name)
        if is_dataclass(kind):
            yield from describe_section(kind, f"`{name}`")
        elif get_args(kind) and is_dataclass(get_args(kind)[0]):
            yield from describe_section(get_args(kind)[0], f"`{name}[]`")


def _bare(kind: Any) -> Any:
    """The type of a key, without the None of one that may be left out."""
    return get_args(kind)[0] if type(None) in get_args(kind) else kind


def _default(key: Field[Any]) -> str:
    if key.default is MISSING:
        return "required" if key.default_factory is MISSING else "as below"
    if isinstance(key.default, bool):
        return "`true`" if key.default else "`false`"
    if isinstance(key.default, float):
        return f"`{_duration(int(key.default))}`"
    return f"`{key.default}`" if isinstance(key.default, int | str) else ""


def _duration(seconds: int) -> str:
    """As people write it: `6h`, `2m`, `90s`."""
    units = (("d", 86400), ("h", 3600), ("m", 60))
    return next((f"{seconds // size}{unit}" for unit, size in units if seconds and not seconds % size), f"{seconds}s")
