"""The page of reasons and providers, from the rules in `parsers/reasons` and `parsers/providers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docs.markdown import code, codes, page, table
from parsers.explanation import kinds
from parsers.provider import read_providers
from parsers.reason import REASONS, read_codes, read_rules, rule_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parsers.provider import Provider
    from parsers.reason import Rule

INTRODUCTION = """\
Why a delivery failed or a client was refused, in classes, made from the rules in `parsers/reasons`: words of
the reply first, then its enhanced status code, then its reply code, then the SMTP phase where nobody answered.
What no rule knows is `unclassified`. `mailstat explain TEXT` tells the class of a reply, the rule that decided,
and what to do."""

PRECEDENCE = """\
The first of these that knows a reply decides; within a file, the first rule does.

1. Your own rules, where there are some.
2. The words of our own servers: `postfix.yaml`, `exim.yaml` and so on.
3. `providers.yaml`: what providers and filters word in a way of their own.
4. `languages.yaml`: what servers answer in other languages than English.
5. `replies.yaml`: what all others answer.
6. Enhanced status codes that this provider uses otherwise than registered (`providers` in `codes.yaml`):
   Gmail's 5.7.27 is SPF, Exchange Online's 5.1.10 and 5.4.1 are unknown recipients.
7. Enhanced status codes that name a cause (`telling`).
8. `vague.yaml`: words that many causes share, most of them in pairs of an object and a predicate that stand
   near each other in whichever order ("mailbox", "full"), so that wordings nobody has met yet find their class.
9. Enhanced status codes and reply codes that many causes share.
10. The SMTP phase, where nobody answered.

So text beats code, and a list's or a rule's name beats "rejected". An unknown address in reply to MAIL is the
sender's.

Words are looked for in the folded reply: small letters without accents or punctuation, without addresses,
numbers, ids and host names, at most 1,000 characters. A match is a search for fixed words, never a regular
expression made of rules, so its time is bounded whatever a server sends."""

FIGURES = """\
`make bench-reasons` measures on labelled texts that are not part of the project. The families
`sisimai-comments`, `sisimai-tests` (samples in the sources of Sisimai) and `zone-mta` (samples above the rules
of ZoneMTA), 245 texts, were held back: whoever wrote rules did not read them, and looked twelve times at their
totals, and at which class was taken for which. *Lenient* counts a label that is not wrong either; *wrong* is wrong
suppression, not the recipient's fault, but classed as a dead address.

| part | texts | strict | lenient | macro-F1 | unclassified | wrong |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| sisimai-comments | 120 | 0.850 | 0.942 | 0.920 | 0.0 % | 0.8 % |
| sisimai-tests | 43 | 0.814 | 0.837 | 0.746 | 2.3 % | 0.0 % |
| zone-mta | 82 | 0.927 | 0.976 | 0.761 | 0.0 % | 0.0 % |
| all held back | 245 | 0.869 | 0.935 | 0.818 | 0.4 % | 0.4 % |
| open to the writers of rules | 695 | 0.947 | 0.981 | 0.975 | 0.0 % | 0.3 % |

The classifier takes 55 to 85 microseconds of processor time for a text never seen, and 2 for one that came before; 5
on average for the failures of a generated log of which two thirds are texts that differ."""

OWN = """\
A file of your own, named by `reasons` in the configuration and by `--reasons` of the reports, has rules that
come before all of ours, and may have classes that are new. A rule's phrases are looked for as written, apart
from what folding takes away; ` … ` is a gap, `providers` and `dsn` limit it to replies of these. `sample` is a
reply that it has to decide. `objects` and `predicates` make pairs.

```yaml
classes:
  - class: partner_closed
    nature: transient # or permanent, or code: as the reply's first digit says
    fault: transient
    means: The partner's filter is closed at night.
    advice: [Wait for the morning.]
rules:
  - id: partner-at-night
    class: partner_closed
    phrases: [closed for the night, closed … until morning]
    sample: "451 We are closed for the night"
    providers: [partner]
```

Providers of your own are in a file that `providers` and `--providers` name. Its suffixes beat ours; `customers`
are names below them that are nobody's. A host that was seen keeps its provider until the exporter is restarted.

```yaml
- name: partner
  relays: [mx.partner.example]
  domains: [partner.example]
  customers: [vps.mx.partner.example]
```

Both files are checked strictly: `mailstat_exporter --config.file=FILE --config.check` tells all that is wrong."""

PROVIDERS = """\
Who runs a destination, from `parsers/providers/providers.yaml`: by the name of the mail exchanger that was tried, or,
where none was, by the recipient's domain."""


def text() -> str:
    """The page."""
    return page(
        "Reasons and providers",
        INTRODUCTION,
        "## Reasons",
        table(["reason", "what it means", "fault", "rules", "codes", "a reply of this kind"], _reasons()),
        "## Which rule decides",
        PRECEDENCE,
        "## How well it does",
        FIGURES,
        "## Your own rules, classes and providers",
        OWN,
        "## Providers",
        PROVIDERS,
        table(["provider", "mail exchangers", "domains", "evidence"], map(_provider, read_providers())),
    )


def _reasons() -> Iterator[list[str]]:
    rules = [rule for name in [*rule_files(), "vague.yaml"] for rule in read_rules(name)]
    codes_of = read_codes()
    meanings = [*codes_of.telling, *codes_of.vague, *codes_of.replies]
    for reason in REASONS:
        own = [rule for rule in rules if rule.reason == reason]
        known = [row.code for row in meanings if row.reason == reason]
        kind = kinds()[reason]
        yield [code(reason), kind.means, kind.fault, str(len(own)), codes(known), _sample(own)]


def _sample(rules: list[Rule]) -> str:
    return code(rules[0].sample) if rules else ""


def _provider(provider: Provider) -> list[str]:
    return [code(provider.name), codes(provider.relays), codes(provider.domains), provider.evidence]
