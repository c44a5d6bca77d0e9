"""Results as tables for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from restore.evaluation.cases import CASES
from restore.evaluation.result import Result
from restore.evaluation.scores import MEASURES, METRICS, Comparison, Metric, Score
from restore.evaluation.signature import signature_line

SIGNIFICANT = 0.05


def result_table(result: Result) -> RenderableType:
    """Return a result as tables: all defined scores, the confusion of cases, the signature.

    Precision and recall stand beside their F1; the rest have a row each.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("score", no_wrap=True)
    for head in ("value", "95 % interval", "precision", "recall"):
        table.add_column(head, justify="right", no_wrap=True)
    for metric in METRICS:
        score = result.scores[metric.name]
        if math.isnan(score.value) or metric.name.endswith(("_precision", "_recall")):
            continue
        table.add_row(
            _label(metric.label, metric.unit), _number(score.value), _interval(score), *_beside(metric, result)
        )
    for name, (label, unit) in MEASURES.items():
        if name in result.scores and not math.isnan(result.scores[name].value):
            table.add_row(_label(label, unit), _number(result.scores[name].value), "", "", "")
    parts: list[RenderableType] = [table]
    if any(any(row.values()) for row in result.confusion.values()):
        parts += [Text(), _confusion_table(result.confusion)]
    return Group(*parts, Text(), Text(f"documents: {result.documents}"), Text(signature_line(result.signature)))


def _beside(metric: Metric, result: Result) -> Iterator[str]:
    """Yield precision and recall of an F1, empty for another score."""
    for which in ("precision", "recall"):
        name = metric.name.removesuffix("_f1")
        score = result.scores.get(f"{name}_{which}") if metric.name.endswith("_f1") else None
        yield "" if score is None else _number(score.value)


def _label(label: str, unit: str) -> str:
    """Name the unit of what is no share."""
    return f"{label}, {unit}" if unit not in ("", "%") else label


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}"


def _interval(score: Score) -> str:
    return "" if math.isnan(score.low) else f"{_number(score.low)} to {_number(score.high)}"


def _confusion_table(confusion: Mapping[str, Mapping[str, int]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("case in the original")
    for case in CASES:
        table.add_column(f"written {case}", justify="right")
    for ours in CASES:
        table.add_row(ours, *(f"{confusion[ours][theirs]:,}" for theirs in CASES))
    return table


def comparison_table(comparisons: Mapping[str, Comparison]) -> Table:
    """Return a paired comparison as a table; differences that chance alone would rarely make are in bold."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("score", no_wrap=True)
    for head in ("this", "other", "difference", "95 % interval", "p"):
        table.add_column(head, justify="right")
    for metric in METRICS:
        found = comparisons.get(metric.name)
        if found is None or metric.name.endswith(("_precision", "_recall")):
            continue
        table.add_row(
            _label(metric.label, metric.unit),
            _number(found.ours),
            _number(found.theirs),
            f"{found.difference.value:+.1f}",
            f"{found.difference.low:+.1f} to {found.difference.high:+.1f}",
            "-" if found.p is None else f"{found.p:.3f}",
            style="bold" if found.p is not None and found.p < SIGNIFICANT and found.difference.value else None,
        )
    return table
