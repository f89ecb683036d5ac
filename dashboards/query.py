"""Selectors with the dashboard's filters, as far as a metric has the labels for them."""

from __future__ import annotations

from exporter.metrics.catalogue import METRICS

FILTERS = ("mta", "service", "provider", "probe")
TARGET = ("job", "instance")
PARTS = ("_bucket", "_sum", "_count")


def labels(name: str) -> tuple[str, ...]:
    """The labels of a metric of the catalogue, or of one that the rules record: those stand in its level."""
    for part in ("", *PARTS):
        if (metric := METRICS.get(name.removesuffix(part))) and name.endswith(part):
            return metric.labels
    level = name.partition(":")[0]
    return {"provider": ("mta", "provider"), "service": ("mta", "service"), "mta": ("mta",)}.get(level, ())


def select(name: str, *matchers: str) -> str:
    """`name{…}` with the filters that the reader chose, and these matchers."""
    chosen = [f'{label}=~"${label}"' for label in (*TARGET, *(it for it in FILTERS if it in labels(name)))]
    return f"{name}{{{', '.join((*matchers, *chosen))}}}"


def rate(name: str, *matchers: str) -> str:
    """The rate a second, over a range that fits the picture's."""
    return f"rate({select(name, *matchers)}[$__rate_interval])"


def increase(name: str, *matchers: str) -> str:
    """How many in all of the time that is shown."""
    return f"increase({select(name, *matchers)}[$__range])"


def total(by: str, expression: str) -> str:
    """The sum by these labels."""
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def quantile(share: float, by: str, name: str, *matchers: str) -> str:
    """A quantile of a histogram, by these labels."""
    return f"histogram_quantile({share:g}, {total(f'{by}, le' if by else 'le', rate(f'{name}_bucket', *matchers))})"


def ratio(part: str, whole: str) -> str:
    """A share; nothing where there was nothing to have a share of."""
    return f"{part} / ({whole} > 0)"
