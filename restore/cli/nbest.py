"""`restore FILE --nbest N`: the n best readings of each sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from restore.restoration import Restoration


def nbest_data(restoration: Restoration, n: int) -> list[list[dict[str, Any]]]:
    """Return the readings as plain data, sentence by sentence, the text's own first."""
    return [
        [{"text": reading.text, "probability": reading.probability} for reading in readings]
        for readings in restoration.nbest(n)
    ]


def nbest_text(restoration: Restoration, n: int) -> str:
    """Return the readings as lines: a sentence of the text, and under it what it may have said instead."""
    lines = []
    for readings in restoration.nbest(n):
        for number, reading in enumerate(readings):
            text = " ".join(reading.text.split())
            lines.append(f"{'  ' if number else ''}{_percent(reading.probability):>8}  {text}")
        lines.append("")
    return "\n".join(lines)


def _percent(chance: float) -> str:
    return f"{100 * chance:.0f} %" if chance >= 0.1 else f"{100 * chance:.2g} %"
