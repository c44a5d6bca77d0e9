"""The picture of a training run."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.figure import Figure


def draw(log: Path, picture: Path) -> None:
    """Draw the losses of a `log.jsonl` over the pieces seen, as a PNG."""
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    steps = [entry for entry in entries if "loss" in entry]
    held = [entry for entry in entries if "held_out" in entry]
    losses, means = [entry["loss"] for entry in steps], list[float]()
    for loss in losses:
        means.append(0.95 * means[-1] + 0.05 * loss if means else loss)
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    seen = [entry["tokens"] / 1e6 for entry in steps]
    axes.plot(seen, losses, color="0.85", linewidth=0.8, label="each step")
    axes.plot(seen, means, color="tab:blue", label="training, running mean")
    if held:
        places = [entry["tokens"] / 1e6 for entry in held]
        axes.plot(places, [entry["held_out"] for entry in held], "o-", color="tab:red", label="held out")
        averages = [entry["held_out_average"] for entry in held]
        axes.plot(places, averages, "s--", color="tab:orange", label="held out, averaged weights")
    if means:
        axes.set_ylim(0.9 * min([*means, *(entry["held_out"] for entry in held)]), 1.05 * max(means))
    axes.set_xlabel("million pieces of source and target")
    axes.set_ylabel("nats a target piece")
    axes.legend(frameon=False)
    figure.savefig(picture, dpi=120)
