from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import parsers.mta
from exporter import yamlfile
from exporter.config import Config, ConfigError, Labels, LogSource, describe, load_config

MTAS = ", ".join(
    sorted(
        path.name.removesuffix(".py")
        for path in Path(parsers.mta.__path__[0]).iterdir()
        if not path.name.startswith("__")
    )
)
ZONE = "expected a time zone such as Europe/Prague"
SOURCE = "file, directory, container, journal, syslog, stdin, files, mta, timezone"
EXACTLY = "expected exactly one of file, directory, container, journal, syslog, stdin"
SYSLOG = "listen: expected udp://, tcp:// or tls://HOST:PORT, or unix:///PATH"
SECTIONS = (
    "expected one of sources, queues, labels, blocks, attacks, accounts, timezone, reasons, providers, probes,"
    " posture, negative, resolver"
)


@pytest.fixture
def load(tmp_path):
    def load(content: str | bytes) -> Config:
        path = tmp_path / "mailstat.yml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_config(path)

    return load


@pytest.fixture
def errors(load, tmp_path):
    """The errors of a bad configuration, without the path of the temporary directory."""

    def errors(content: str | bytes) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(content)
        assert str(caught.value) == "\n".join(caught.value.errors)
        return [error.removeprefix(f"{tmp_path}/") for error in caught.value.errors]

    return errors


def test_a_full_configuration(load):
    config = load(
        """
        sources:
          - file: /var/log/mail.log
          - {file: /srv/relay/mail.log, mta: postfix, timezone: America/New_York}
        labels: {providers: 8, domains: 100}
        timezone: Europe/Prague
        """
    )
    assert config == Config(
        sources=(
            LogSource(file=Path("/var/log/mail.log")),
            LogSource(file=Path("/srv/relay/mail.log"), mta="postfix", timezone=ZoneInfo("America/New_York")),
        ),
        labels=Labels(providers=8, domains=100),
        timezone=ZoneInfo("Europe/Prague"),
    )


@pytest.mark.parametrize("content", ["", "---\n", "# sources:\n", "\ufeff# with a mark\n", "{}"])
def test_what_is_left_out_has_its_default(load, content):
    assert load(content) == Config(sources=(), labels=Labels(providers=32, domains=0), timezone=None)


def test_a_key_without_a_value_is_left_out_where_it_may_be(load):
    assert load("timezone:\nsources: [{file: /a, mta: }]").sources == (LogSource(file=Path("/a")),)


def test_a_relative_path_starts_at_the_configuration_file(load, tmp_path):
    assert load("sources: [{file: logs/mail.log}]").sources[0].file == tmp_path / "logs/mail.log"


def test_an_anchor_may_be_used_again(load):
    config = load("timezone: &zone UTC\nsources: [{file: /a, timezone: *zone}]")
    assert config.sources[0].timezone == config.timezone == ZoneInfo("UTC")


def test_a_configuration_cannot_be_changed(load):
    with pytest.raises(FrozenInstanceError):
        load("").timezone = ZoneInfo("UTC")


BAD = {
    "a misspelt key": (
        "sources: [{fiel: /var/log/mail.log}]",
        ['sources[0].fiel: unknown key, did you mean "file"?'],
    ),
    "a misspelt section": ("lables: {}", ['lables: unknown key, did you mean "labels"?']),
    "a key like none of ours": ("colour: red", [f"colour: unknown key, {SECTIONS}"]),
    "a key of another section": (
        "sources: [{file: /a, providers: 3}]",
        [f"sources[0].providers: unknown key, expected one of {SOURCE}"],
    ),
    "the value of an unknown key is not told": (
        "labels: {password: hunter2}",
        ["labels.password: unknown key, expected one of providers, domains, idle_hours"],
    ),
    "nor what is within it": (
        "secrets: {inner: [hunter2, {deep: hunter2}]}",
        [f"secrets: unknown key, {SECTIONS}"],
    ),
    "a hostile key": (
        '"a\\e[31m\\nb.c": 1',
        [rf'"a\u001b[31m\nb.c": unknown key, {SECTIONS}'],
    ),
    "a long key": ("x" * 500 + ": 1", [f'"{"x" * 60}…": unknown key, {SECTIONS}']),
    "keys that are no text": (
        "2: a\ntrue: b\n2024-01-01: c",
        [f"{key}: unknown key, {SECTIONS}" for key in ("2", "a date", "true")],
    ),
    "no file": ("sources: [{mta: postfix}]", [f"sources[0]: {EXACTLY}"]),
    "a file of nothing": ("sources: [{file: }]", [f"sources[0]: {EXACTLY}"]),
    "an empty path": ('sources: [{file: ""}]', ['sources[0].file: expected a path, got ""']),
    "a path with NUL": (
        'sources: [{file: "/a\\0b"}]',
        ['sources[0].file: expected a path, got "/a\\u0000b"'],
    ),
    "a path that no file system can have": (
        'sources: [{file: "/\\ud800"}]',
        ["line 1, column 22: found invalid Unicode character escape code"],
    ),
    "a path in a list": (
        "sources: [{file: [/a]}]",
        ["sources[0].file: expected a path, got a list"],
    ),
    "two sources in one": ("sources: [{file: /a, journal: {}}]", [f"sources[0]: {EXACTLY}"]),
    "a journal twice": (
        "sources: [{journal: {}}, {journal: {}}]",
        ['sources[1].journal: "journal" is followed by sources[0]'],
    ),
    "standard input with a key": (
        "sources: [{stdin: {file: a}}]",
        ["sources[0].stdin.file: unknown key, expected one of "],
    ),
    "a scheme that syslog has not": (
        "sources: [{syslog: {listen: http://127.0.0.1:514}}]",
        [f'sources[0].syslog: {SYSLOG}, got "http://127.0.0.1:514"'],
    ),
    "syslog without a port": (
        "sources: [{syslog: {listen: udp://a}}]",
        [f'sources[0].syslog: {SYSLOG}, got "udp://a"'],
    ),
    "an impossible port": (
        "sources: [{syslog: {listen: tcp://a:77777}}]",
        [f'sources[0].syslog: {SYSLOG}, got "tcp://a:77777"'],
    ),
    "a network that is none": (
        'sources: [{syslog: {listen: "udp://:514", allow: [192.0.2.1/24]}}]',
        ['sources[0].syslog: allow: expected a network such as 192.0.2.0/24, got "192.0.2.1/24"'],
    ),
    "TLS without a certificate": (
        'sources: [{syslog: {listen: "tls://:6514"}}]',
        ["sources[0].syslog: cert_file and key_file: needed for tls://, and for nothing else"],
    ),
    "a source that is only a path": (
        "sources: [/var/log/mail.log]",
        [f'sources[0]: expected a mapping of {SOURCE}, got "/var/log/mail.log"'],
    ),
    "one source that is no list": (
        "sources: {file: /a}",
        ["sources: expected a list of one or more, got a mapping"],
    ),
    "sources of nothing": ("sources:", ["sources: expected a list of one or more, got nothing"]),
    "an empty list": ("sources: []", ["sources: expected a list of one or more, got an empty list"]),
    "a file that is there twice": (
        "sources: [{file: /a}, {file: /b}, {file: /a}]",
        ['sources[2].file: "/a" is followed by sources[0]'],
    ),
    "a misspelt mail server": (
        "sources: [{file: /a, mta: postfx}]",
        [f'sources[0].mta: expected one of {MTAS}, got "postfx", did you mean "postfix"?'],
    ),
    "a number for a mail server": (
        "sources: [{file: /a, mta: 5}]",
        [f"sources[0].mta: expected one of {MTAS}, got 5"],
    ),
    "a word for a number": (
        "labels: {providers: many}",
        ['labels.providers: expected a whole number from 1 to 1000, got "many"'],
    ),
    "a number as text": (
        'labels: {providers: "32"}',
        ['labels.providers: expected a whole number from 1 to 1000, got "32"'],
    ),
    "too few": (
        "labels: {providers: 0}",
        ["labels.providers: expected a whole number from 1 to 1000, got 0"],
    ),
    "too many": (
        "labels: {domains: 1001}",
        ["labels.domains: expected a whole number from 0 to 1000, got 1001"],
    ),
    "far too many": (
        f"labels: {{domains: 0x{'f' * 9000}}}",
        ["labels.domains: expected a whole number from 0 to 1000, got a huge number"],
    ),
    "a fraction": (
        "labels: {domains: 1.0}",
        ["labels.domains: expected a whole number from 0 to 1000, got 1.0"],
    ),
    "no number": (
        "labels: {domains: .nan}",
        ["labels.domains: expected a whole number from 0 to 1000, got NaN"],
    ),
    "a truth for a number": (
        "labels: {domains: yes}",
        ["labels.domains: expected a whole number from 0 to 1000, got true"],
    ),
    "a section that is a number": (
        "labels: 32",
        ["labels: expected a mapping of providers, domains, idle_hours, got 32"],
    ),
    "a quota of nobody": (
        "accounts: {quotas: [{messages: 5}]}",
        ["accounts.quotas[0].of: missing"],
    ),
    "a quota of no text": (
        "accounts: {quotas: [{of: 7}, {of: ''}]}",
        [
            "accounts.quotas[0].of: expected a text, got 7",
            'accounts.quotas[1].of: expected a text, got ""',
        ],
    ),
    "a zone that is none": ("timezone: Mars/Olympus", [f'timezone: {ZONE}, got "Mars/Olympus"']),
    "a misspelt zone": (
        "timezone: Europe/Pragu",
        [f'timezone: {ZONE}, got "Europe/Pragu", did you mean "Europe/Prague"?'],
    ),
    "a zone that is a path": (
        "timezone: ../../../etc/passwd",
        [f'timezone: {ZONE}, got "../../../etc/passwd"'],
    ),
    "a zone that is a directory": (
        "timezone: America/Indiana",
        [f'timezone: {ZONE}, got "America/Indiana", did you mean "America/Indianapolis"?'],
    ),
    "a zone that is an offset": ("timezone: +02:00", [f'timezone: {ZONE}, got "+02:00"']),
    "a long value": ("timezone: " + "z" * 500, [f'timezone: {ZONE}, got "{"z" * 60}…"']),
    "a list at the top": (
        "- file: /a",
        [f"{SECTIONS.replace('one of', 'a mapping of')}, got a list"],
    ),
    "a word at the top": (
        "hello",
        [f'{SECTIONS.replace("one of", "a mapping of")}, got "hello"'],
    ),
    "all of it": (
        "sources: [{fiel: /a}, {mta: none of them}, 3]\nlabels: {providers: -1, domain: 5}\ntimezone: 7\nx: 1",
        [
            'sources[0].fiel: unknown key, did you mean "file"?',
            f'sources[1].mta: expected one of {MTAS}, got "none of them"',
            f"sources[2]: expected a mapping of {SOURCE}, got 3",
            "labels.providers: expected a whole number from 1 to 1000, got -1",
            'labels.domain: unknown key, did you mean "domains"?',
            f"timezone: {ZONE}, got 7",
            f"x: unknown key, {SECTIONS}",
        ],
    ),
    "broken syntax": (
        "sources:\n  - file: [/a",
        ["line 3, column 1: did not find expected ',' or ']'"],
    ),
    "a tab": (
        "labels:\n\tproviders: 3",
        ["line 2, column 1: found character that cannot start any token"],
    ),
    "keys that are there twice": (
        "labels: {domains: 1, domains: 2}\ntimezone: UTC\n'timezone': UTC",
        [
            'line 3, column 1: the key "timezone" is there twice',
            'line 1, column 22: the key "domains" is there twice',
        ],
    ),
    "a merge key": (
        "labels: &l {domains: 1}\nx: {<<: *l}",
        ["line 2, column 5: expected a plain key"],
    ),
    "a list for a key": ("? [a, b]\n: 1", ["line 1, column 3: expected a plain key"]),
    "an alias of nothing": ("timezone: *zone", ["line 1, column 11: found undefined alias 'zone'"]),
    "a tag that makes objects": (
        "timezone: !!python/object/apply:os.system [id]",
        [
            "line 1, column 11: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object/apply:os.system'"
        ],
    ),
    "a day that never was": (
        "timezone: 2024-99-99",
        ['line 1, column 11: impossible value of type "timestamp"'],
    ),
    "a number that is none": (
        "labels: {domains: !!int x}",
        ['line 1, column 19: impossible value of type "int"'],
    ),
    "two documents": (
        "timezone: UTC\n---\ntimezone: UTC",
        ["line 2, column 1: but found another document"],
    ),
    "a list within itself": (
        "sources: &s [*s]",
        [f"sources[0]: expected a mapping of {SOURCE}, got a list"],
    ),
    "a control character": ("# a comment\ntimezone: \x07", ["line 2: a control character"]),
    "no UTF-8": (b"# a comment\n# \xff\n", ["line 2: not UTF-8 text"]),
    "too deep": ("[" * 20000, ["nested too deeply"]),
    "too large": ("#" * (yamlfile.SIZE_LIMIT + 1), ["larger than 256 KiB"]),
}


@pytest.mark.parametrize(("content", "expected"), BAD.values(), ids=BAD.keys())
def test_a_bad_configuration_is_refused_with_exactly_these_errors(errors, content, expected):
    assert errors(content) == [f"mailstat.yml: {error}" for error in expected]


@pytest.mark.parametrize(("name", "reason"), [("absent.yml", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read(tmp_path, name, reason):
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / name)
    assert caught.value.errors == [f"{tmp_path / name}: cannot be read: {reason}"]


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile") / "mailstat.yml"


YAML_TEXT = st.lists(
    st.sampled_from(
        [*"{}[],:-&*!?|>'\"%@`#\n \t\\", "sources", "labels", "timezone", "file", "<<", "!!int ", "!!set "]
    )
    | st.text(max_size=5),
    max_size=30,
).map("".join)


@given(YAML_TEXT)
def test_any_text_is_a_configuration_or_has_printable_errors(scratch, content):
    scratch.write_bytes(content.encode("utf-8", "surrogatepass"))
    try:
        errors = load_config(scratch) and ["a configuration"]
    except ConfigError as error:
        errors = error.errors
    assert errors
    assert all(line.isprintable() for line in errors)


def test_the_page_has_every_key_with_what_it_accepts():
    page = describe()
    sections = {part.partition("\n")[0]: part for part in page.split("\n## ")}
    keys = {name: re.findall(r"(?m)^\| `(\w+)` \|", part) for name, part in sections.items()}
    assert keys["Top level"] == [field.name for field in fields(Config)]
    assert keys["`labels`"] == ["providers", "domains", "idle_hours"]
    assert {"name", "send", "every", "late_after", "lost_after"} <= set(keys["`probes[]`"])
    assert {"server", "from", "password_file", "imap"} <= set().union(*keys.values())
    assert "| `providers` | a whole number from 1 to 1000 | `32` |" in page
    assert "| `listen` | a text | required |" in page


@pytest.mark.parametrize(
    ("key", "default"),
    [
        ("`idle`", "1h"),
        ("`late_after`", "2m"),
        ("`lost_after`", "30m"),
        ("`patience`", "3s"),
        ("`listen`", "required"),
    ],
)
def test_the_page_tells_the_default_of_a_duration(key, default):
    rows = [line.split(" | ") for line in describe().splitlines() if line.startswith(f"| {key} ")]
    assert default in {row[2].strip("`") for row in rows}


def test_the_example_on_the_page_is_a_configuration(load):
    example = re.search(r"```yaml\n(.*?)```", describe(), re.DOTALL)
    assert example
    assert len(load(example[1]).sources) == 3


def test_the_configuration_needs_no_web_server():
    code = "import sys, exporter.config; sys.exit('aiohttp' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
