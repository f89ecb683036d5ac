"""What a PromQL expression names, and which labels its result has, told from the catalogue alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser as promql

from exporter.metrics.catalogue import METRICS

TARGET = frozenset({"job", "instance"})  # what Prometheus adds to all that it scrapes
# Prometheus' own, and those of the client library on Linux.
ITS_OWN = {
    "up": TARGET,
    "scrape_samples_scraped": TARGET,
    "process_cpu_seconds_total": TARGET,
    "process_resident_memory_bytes": TARGET,
    "ALERTS": TARGET | {"alertname", "alertstate", "severity"},
}

# What the configuration adds: rules have to leave it out of their sums.
OPTIONAL = {"mail_deliveries_total": {"domain"}, "mail_delivery_failures_total": {"domain"}}

Known = Mapping[str, frozenset[str]]


def catalogued() -> dict[str, frozenset[str]]:
    """Every name that a scrape of ours has, with its labels."""
    found = dict(ITS_OWN)
    for name, metric in METRICS.items():
        labels = TARGET | set(metric.labels) | OPTIONAL.get(name, set())
        if metric.type != "histogram":
            found[name] = labels
            continue
        found |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
    return found


def parsed(text: str) -> Any:
    """The syntax tree, with Grafana's own variables put to something."""
    return promql.parse(re.sub(r"\$__\w+", "5m", text))


def selectors(node: Any) -> Iterator[Any]:
    """Every `name{label="value"}` of it."""
    if isinstance(node, promql.VectorSelector):
        yield node
    for child in _children(node):
        yield from selectors(child)


def _children(node: Any) -> list[Any]:
    match node:
        case promql.MatrixSelector():
            return [node.vector_selector]
        case promql.Call():
            return list(node.args)
        case promql.BinaryExpr():
            return [node.lhs, node.rhs]
        case promql.AggregateExpr():
            return [node.expr, *([node.param] if node.param else [])]
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return [node.expr]
    return []


def labels(node: Any, known: Known) -> frozenset[str] | None:
    """The labels of the result, None of a number. Two sides that can never match are an AssertionError."""
    match node:
        case promql.VectorSelector():
            return known[node.name]
        case promql.AggregateExpr():
            return _aggregated(node, known)
        case promql.BinaryExpr():
            return _joined(node, known)
        case promql.Call():
            return _called(node, known)
    inner = [labels(child, known) for child in _children(node)]
    return inner[0] if inner else None


def _aggregated(node: Any, known: Known) -> frozenset[str]:
    inner = labels(node.expr, known) or frozenset()
    if str(node.op) in ("topk", "bottomk"):
        return inner
    if node.modifier is None:
        return frozenset()
    named = set(node.modifier.labels)
    assert named <= inner | {"week"}, f"{named - inner} are no labels of {node.expr}"
    return frozenset(inner & named if node.modifier.type == promql.AggModifierType.By else inner - named)


def _joined(node: Any, known: Known) -> frozenset[str] | None:
    left, right = labels(node.lhs, known), labels(node.rhs, known)
    if left is None or right is None:
        return right if left is None else left
    if str(node.op) == "or":
        return left | right
    matching = node.modifier.matching if node.modifier else None
    if matching is None:
        assert left == right, f"these never match: {set(left ^ right)} in {node}"
        return left
    assert set(matching.labels) <= left & right, f"{matching} are not labels of both sides of {node}"
    return left


def _called(node: Any, known: Known) -> frozenset[str] | None:
    if node.func.name in ("time", "vector"):
        return None
    if node.func.name == "absent":
        return frozenset()
    inner = next(found for found in (labels(it, known) for it in node.args) if found is not None)
    if node.func.name == "label_replace":
        return inner | {node.args[1].val}
    return inner - {"le"} if node.func.name == "histogram_quantile" else inner
