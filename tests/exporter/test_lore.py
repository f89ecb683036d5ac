"""What operators know beside what we know: refused with the place where it is wrong, or in force before ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config import ConfigError, load_config
from exporter.lore import install, load_providers, load_reasons
from exporter.schema import InvalidError
from parsers.explanation import Item, explain
from parsers.provider import provider_of_domain, provider_of_relay
from parsers.reason import reason_of

RULES = """\
classes:
  - class: night_rest
    nature: transient
    fault: transient
    means: The partner's filter sleeps.
    advice: [Wait for the morning.]
rules:
  - id: partner-sleeps
    class: night_rest
    phrases: ["Gute Nacht, 7!"]
    sample: "550 5.1.1 gute Nacht"
  - id: partner-list
    class: blocked_ip
    phrases: [user unknown … zone]
    providers: [partner]
    sample: "550 user unknown in our zone"
"""
PROVIDERS = """\
- name: partner
  relays: [mx.partner.example]
  domains: [partner.example]
- name: google_too
  relays: [aspmx.l.google.com]
"""


@pytest.fixture(autouse=True)
def nothing_of_it_stays():
    yield
    install(None, None)


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str, name: str = "own.yml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_own_rules_come_first_and_are_written_as_replies_are(write) -> None:
    assert reason_of("550 5.1.1 Gute Nacht 8", 550, "5.1.1", None) == "user_unknown"
    install(write(RULES), None)
    assert reason_of("550 5.1.1 Gute Nacht 8", 550, "5.1.1", None) == "night_rest"
    install(None, None)
    assert reason_of("550 5.1.1 Gute Nacht 8", 550, "5.1.1", None) == "user_unknown"


def test_an_own_rule_may_be_for_one_provider(write) -> None:
    install(write(RULES), write(PROVIDERS, "providers.yml"))
    assert reason_of("550 user unknown in zone", 550, None, None, "partner") == "blocked_ip"
    assert reason_of("550 user unknown in zone", 550, None, None, "google") == "user_unknown"


def test_an_own_class_is_explained(write) -> None:
    install(write(RULES), None)
    found = explain(Item(reply="550 gute Nacht"))
    assert (found.reason, found.nature, found.advice) == ("night_rest", "transient", ["Wait for the morning."])


def test_own_providers_are_known_beside_ours_and_win(write) -> None:
    install(None, write(PROVIDERS))
    assert provider_of_relay("a.mx.partner.example") == "partner"
    assert provider_of_domain("partner.example") == "partner"
    assert provider_of_relay("aspmx.l.google.com") == "google_too"
    assert provider_of_relay("alt1.gmail-smtp-in.l.google.com") == "google"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("rules: [{}]", "rules[0]: object missing required field"),
        ("rule: []", 'object contains unknown field "rule"'),
        ("- 1", "expected"),
        (RULES.replace("class: blocked_ip", "class: blocked"), 'rules[1].class: "blocked" is neither one of ours'),
        (RULES.replace("partner-list", "partner-sleeps"), 'rules[1].id: "partner-sleeps" is the id of an earlier'),
        (RULES.replace("Gute Nacht, 7!", "7 kim@example.org"), "rules[0].phrases[0]: numbers and addresses"),
        (RULES.replace('["Gute Nacht, 7!"]', "[]"), "rules[0].phrases: at least one"),
        (RULES.replace("5.1.1 gute Nacht", "guten Tag"), 'rules[0].sample: is decided by "no rule"'),
        (RULES.replace("5.1.1 gute Nacht", "mailbox full"), 'rules[0].sample: is decided by "mailbox-full"'),
        (RULES.replace("class: night_rest", "class: user_unknown"), 'there is a class "user_unknown" already'),
        (RULES.replace("class: night_rest", "class: Night Rest"), 'classes[0].class: "Night Rest" is no name'),
        (RULES.replace("fault: transient", "fault: mine"), 'classes[0].fault: "mine" is none of'),
        (RULES.replace("nature: transient", "nature: soft"), "classes[0].nature"),
        ("a: 1\na: 2\n", "twice"),
    ],
)  # fmt: skip
def test_a_bad_file_of_reasons_is_refused(write, text: str, error: str) -> None:
    path = write(text)
    with pytest.raises(InvalidError) as refused:
        load_reasons(path)
    assert any(error in line for line in refused.value.errors), refused.value.errors
    assert all(line.startswith(f"{path}: ") for line in refused.value.errors)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("- name: Partner\n  domains: [example.org]", '[0].name: "Partner" is no name'),
        ("- name: partner", "[0]: relays or domains have to be there"),
        ("- name: partner\n  relays: ['*.example.org']", '[0].relays[0]: "*.example.org" is no suffix'),
        ("- {name: a, domains: [x.example]}\n- {name: b, domains: [x.example]}", '"x.example" is of a'),
        ("name: partner", "expected"),
        ("- {name: partner, domain: [x.example]}", "unknown field"),
    ],
)  # fmt: skip
def test_a_bad_file_of_providers_is_refused(write, text: str, error: str) -> None:
    path = write(text)
    with pytest.raises(InvalidError) as refused:
        load_providers(path)
    assert any(error in line for line in refused.value.errors), refused.value.errors


def test_a_bad_file_leaves_in_force_what_was(write) -> None:
    install(write(RULES), None)
    with pytest.raises(InvalidError):
        install(write(RULES.replace("gute Nacht", "guten Tag"), "bad.yml"), None)
    assert reason_of("550 gute Nacht", 550, None, None) == "night_rest"


def test_the_configuration_names_the_files_and_tells_what_is_wrong_with_them(write) -> None:
    write(RULES)
    write(PROVIDERS, "providers.yml")
    config = load_config(write("reasons: own.yml\nproviders: providers.yml\n", "mailstat.yml"))
    install(config.reasons, config.providers)
    assert reason_of("550 gute Nacht", 550, None, None) == "night_rest"
    write("- name: partner\n", "providers.yml")
    with pytest.raises(ConfigError) as refused:
        load_config(write("reasons: gone.yml\nproviders: providers.yml\n", "mailstat.yml"))
    assert [line.rpartition("/")[2] for line in refused.value.errors] == [
        "gone.yml: cannot be read: No such file or directory",
        "providers.yml: [0]: relays or domains have to be there",
    ]
