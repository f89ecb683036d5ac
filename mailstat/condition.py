"""Conditions of `--where` as SQL on the event table.

What somebody wrote becomes parameters, never text of the query. It says of each row what `filter.compiled` says of
the event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, NamedTuple

from mailstat.filter import IDS, Among, Compare, Condition, Every, Network, Not, Presence, Some, fields, lowered

PACKED = "_packed"  # what ends the name of the column with the packed form of an address


class Clause(NamedTuple):
    """Text that is true or false of each row, never NULL, with a `?` for each of the `values` in their order;
    `columns` are those that it looks at."""

    text: str
    values: tuple[Any, ...]
    columns: frozenset[str]


def clause(condition: Condition) -> Clause:
    """The condition as SQL."""
    match condition:
        case Not(inner):
            denied = clause(inner)
            return denied._replace(text=f"NOT ({denied.text})")
        case Every(conditions):
            return _joined(" AND ", map(clause, conditions))
        case Some(conditions):
            return _joined(" OR ", map(clause, conditions))
        case Presence(field, is_present):
            return Clause(f"{_name(field)} IS {'NOT ' * is_present}NULL", (), frozenset({field}))
        case Among(field, values):
            return _among(field, values)
        case Compare(field, sign, value):
            return _compare(field, sign, value)


@lru_cache(maxsize=8192)
def packed(text: str | None) -> str | None:
    """An address in a form whose order as text is that of the addresses; None where it is none."""
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    return f"{address.version}{int(address):032x}"


def _compare(field: str, sign: str, value: str | float) -> Clause:
    if not isinstance(value, str):
        place = "make_timestamptz(CAST(round(? * 1e6) AS BIGINT))" if field == "time" else "CAST(? AS DOUBLE)"
        return _of(field, f"{_name(field)} {sign} {place}", (value,), of_absent=sign == "!=")
    if sign == "~":
        return _of(field, f"contains(lower({_name(field)}), ?)", (lowered(value),))
    equal = _equal(field, value)
    if sign == "=":
        return _of(field, equal.text, equal.values)
    return _of(field, f"NOT ({equal.text})", equal.values, of_absent=True)


def _equal(field: str, value: str) -> Clause:
    name = _name(field)
    if field not in IDS:
        name, value = f"lower({name})", lowered(value)
    if "*" not in value:
        return Clause(f"{name} = ?", (value,), frozenset())
    pattern = "(?s)" + ".*".join(map(_literal, value.split("*")))
    return Clause(f"regexp_full_match({name}, ?)", (pattern,), frozenset())


def _literal(text: str) -> str:
    """A text for RE2, where every mark stands for itself; its matching is linear."""
    return re.sub(r"([^\w\0])", r"\\\1", text, flags=re.ASCII) if text.isascii() else "".join(map(_mark, text))


def _mark(char: str) -> str:
    return _literal(char) if char.isascii() else char


def _among(field: str, values: Iterable[Any]) -> Clause:
    networks = [value for value in values if isinstance(value, (IPv4Network, IPv6Network))]
    if networks:
        bounds = tuple(bound for network in networks for bound in _bounds(network))
        name = _name(field + PACKED)
        text = " OR ".join([f"{name} BETWEEN ? AND ?"] * len(networks))
        return _of(field + PACKED, text, bounds)
    tests = [_compare(field, "=", value) for value in values]
    return _joined(" OR ", tests)


def _bounds(network: Network) -> tuple[str | None, str | None]:
    return packed(str(network.network_address)), packed(str(network.broadcast_address))


def _of(field: str, text: str, values: tuple[Any, ...], *, of_absent: bool = False) -> Clause:
    return Clause(f"coalesce({text}, {str(of_absent).lower()})", values, frozenset({field}))


def _joined(word: str, clauses: Iterable[Clause]) -> Clause:
    parts = tuple(clauses)
    return Clause(
        "(" + word.join(part.text for part in parts) + ")",
        tuple(value for part in parts for value in part.values),
        frozenset[str]().union(*(part.columns for part in parts)),
    )


def _name(field: str) -> str:
    """A column of the table, and nothing else, whatever a tree may hold."""
    if field.removesuffix(PACKED) not in fields():
        raise ValueError(f"no column {field!r}")
    return f'"{field}"'
