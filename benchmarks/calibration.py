"""Measure confidence: calibration by kind, what it predicts, risk and coverage, sense warnings; as JSON, Markdown, figures.

    python benchmarks/calibration.py ../shared/corpus/dev -o benchmarks/results --figures docs/figures

Documents of even number report; the curves, rules and thresholds were fitted to the odd ones. docs/confidence.md explains
the figures.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from restore import Restorer
from restore.bundle import resources_folder
from restore.calibration import read_calibration
from restore.channel import Channel
from restore.config import ENGINES, PRESETS
from restore.decisions import KINDS
from restore.evaluation import score
from restore.evaluation.calibration import Judged, calibration_by_kind, rank_correlation, risk_coverage
from restore.evaluation.decisions import judge
from restore.evaluation.documents import select
from restore.evaluation.reading import read
from restore.evaluation.sense import SenseCounts
from restore.restoration import Restoration
from restore.training.calibration import first_words
from restore.training.documents import read_documents

SOURCES = ("news", "encyclopedic", "blog_government", "speech")
EXAMPLES = 10


@dataclass
class Measured:
    """What was found in the documents of one source."""

    documents: list[list[Judged]] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)
    scores: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    sense: SenseCounts = field(default_factory=SenseCounts)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, original: str, result: Restoration, channel: Channel) -> None:
        """Judge one document."""
        events = [
            Judged(decision.kind, decision.posterior, decision.confidence, right)
            for decision, right in judge(original, result.text, result.decisions, channel)
            if decision.posterior is not None and decision.confidence is not None
        ]
        self.documents.append(events)
        self.confidences.append(result.confidence or 0.0)
        scores = score([original], [result.text], channel, resamples=1).scores
        for name in ("function_word_f1", "exact_gap_text", "chrf"):
            self.scores[name].append(scores[name].value)
        self.scores["decisions right"].append(sum(event.right for event in events) / max(1, len(events)))
        self.sense.add(original, result, channel)
        self.examples += flagged_places(original, result, channel)


def flagged_places(original: str, result: Restoration, channel: Channel) -> Iterator[dict[str, Any]]:
    """Yield the flagged places of a document, each beside its original."""
    ours, theirs = read(original, channel), read(result.text, channel)
    for flag in result.flags:
        if flag.kind not in ("negation", "direction", "person"):
            continue
        sides = []
        for reading in (ours, theirs):
            first, last = max(0, flag.place - 3), min(len(reading.forms) - 1, flag.place + 2)
            sides.append(" ".join(reading.text[reading.forms[first].start : reading.forms[last].end].split()))
        yield {
            "kind": flag.kind,
            "original": sides[0],
            "restored": sides[1],
            "probability": flag.probability,
            "alternatives": list(flag.alternatives),
            "original_words": ours.gaps[flag.place].words,
        }


def measure(restorer: Restorer, path: Path, words: int | None, limit: int | None) -> Measured:
    """Restore and judge the even documents of a file."""
    found = Measured()
    for document in select(read_documents(path), "even", limit):
        original = first_words(document, words)
        found.add(original, restorer.restore(restorer.channel.strip(original)), restorer.channel)
    return found


def base_rates(engine: str, channel: str) -> dict[str, float]:
    """Return the share of right decisions by kind in the documents that the curves were fitted to."""
    curves = read_calibration(resources_folder() / "calibration").get(engine, {}).get("channels", {}).get(channel, {})
    return {kind: data["right"] for kind, data in curves.items() if data.get("right") is not None}


def report(found: dict[str, Measured], rates: dict[str, float], resamples: int) -> dict[str, Any]:
    """Return all figures of one engine, by source."""
    sources: dict[str, Any] = {}
    for source, measured in found.items():
        examples = [example for example in measured.examples if example["kind"] == "negation"]
        step = max(1, len(examples) // EXAMPLES)
        sources[source] = {
            "documents": len(measured.documents),
            "calibration": calibration_by_kind(measured.documents, rates, resamples=resamples),
            "rank_correlation": {
                name: None if value != value else round(value, 3)
                for name, values in measured.scores.items()
                for value in [rank_correlation(measured.confidences, values)]
            },
            "risk_coverage": risk_coverage(measured.documents),
            "sense": measured.sense.to_dict(),
            "genders": dict(sorted(measured.sense.genders.items())),
            "examples": examples[::step][:EXAMPLES],
        }
    return sources


def percent(number: float) -> str:
    return f"{100 * number:.1f}"


def markdown(engine: str, name: str, sources: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the tables of one engine."""
    yield f"## Engine `{engine}` (`{name}`)\n"
    for source, rows in sources.items():
        yield f"### {source}: {rows['documents']} even documents\n"
        yield "Expected calibration error in percent (95 % interval), and Brier score: of the search's posterior, of the "
        yield "calibrated confidence, and of the share that was right in the odd documents as a constant. Floor: the error "
        yield "that the calibrated confidences would show if they were the true probabilities.\n"
        heads = ("decisions", "right", "ECE posterior", "calibrated", "constant", "floor")
        heads += ("Brier posterior", "calibrated", "constant")
        yield f"| kind | {' | '.join(heads)} |"
        yield "|---|" + "---:|" * len(heads)
        for kind in (*KINDS, "rare kinds", "inserted"):
            if (row := rows["calibration"].get(kind)) is None:
                continue
            label = f"rare kinds ({', '.join(row['kinds'])})" if kind == "rare kinds" else kind
            label = "all that is inserted" if kind == "inserted" else label
            errors = [
                f"{percent(error['value'])} ({percent(error['low'])} to {percent(error['high'])})"
                for error in row["ece"].values()
            ]
            errors.append(percent(row["floor"]))
            squares = [f"{square:.3f}" for square in row["brier"].values()]
            yield f"| {label} | {row['events']:,} | {percent(row['right'])} | {' | '.join([*errors, *squares])} |"
        yield ""
        known = {label: value for label, value in rows["rank_correlation"].items() if value is not None}
        found = ", ".join(f"{label} {value:.2f}" for label, value in known.items())
        yield f"Rank correlation of a document's confidence with: {found}.\n"
        yield "| min-confidence | insertions that stay | of these wrong | of the right ones that stay |"
        yield "|---|---:|---:|---:|"
        for point in rows["risk_coverage"][::2]:
            yield (
                f"| {point['min_confidence']:.1f} | "
                + " | ".join(percent(point[name]) for name in ("coverage", "risk", "kept_right"))
                + " |"
            )
        yield ""
        yield "| flags | in 100 restored words | restored | flagged | restored or flagged | or one gap off | flags in 100 words |"
        yield "|---|---:|---:|---:|---:|---:|---:|"
        for kind, row in rows["sense"].items():
            shares = ["-" if row[key] is None else percent(row[key]) for key in ("restored", "flagged", "either", "near")]
            wanted = f"{row['wanted_per_100']:.2f}" if row["wanted"] else "-"
            yield f"| {kind} | {wanted} | {' | '.join(shares)} | {row['per_100']:.2f} |"
        yield ""
        genders = rows["genders"]
        for one, other, whom in (("she", "he", "women"), ("he", "she", "men")):
            right, wrong = genders.get(f"{one} as {one}", 0), genders.get(f"{one} as {other}", 0)
            if right or wrong:
                share = percent(right / (right + wrong))
                yield f"Of {right + wrong} pronouns of {whom} with a pronoun in their place, {share} % are of {whom}.\n"


def draw(sources: dict[str, Any], path: Path) -> None:
    """Draw the reliability diagrams of news, kind by kind, before and after calibration."""
    pyplot = _pyplot()
    rows = sources["news"]["calibration"]
    figure, axes = pyplot.subplots(3, 4, figsize=(11, 8.2), sharex=True, sharey=True, layout="constrained")
    for axis, (kind, row) in zip(axes.flat, rows.items(), strict=False):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
        for label, colour, marker in (("before", "#b35900", "x"), ("after", "#00557f", "o")):
            points = row["bins"][label]
            axis.plot(
                [point[0] for point in points], [point[1] for point in points], color=colour, marker=marker, markersize=3.5,
                linewidth=0.8, label={"before": "posterior", "after": "calibrated confidence"}[label],
            )  # fmt: skip
        axis.set_title(f"{kind} ({row['events']:,})", fontsize=9, loc="left")
    for axis in list(axes.flat)[len(rows) :]:
        axis.set_visible(False)
    figure.supxlabel("confidence", fontsize=9)
    figure.supylabel("share right", fontsize=9)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def draw_risk(sources: dict[str, Any], path: Path) -> None:
    """Draw the risk-coverage curves, with the presets."""
    pyplot = _pyplot()
    figure, axis = pyplot.subplots(figsize=(5.5, 3.8), layout="constrained")
    for source, rows in sources.items():
        points = rows["risk_coverage"]
        axis.plot(
            [100 * point["coverage"] for point in points], [100 * point["risk"] for point in points],
            label=source.replace("_", " and "), linewidth=1, marker=".", markersize=4,
        )  # fmt: skip
        for name, threshold in PRESETS.items():
            near = min(points, key=lambda point: abs(point["min_confidence"] - threshold))
            axis.plot(
                100 * near["coverage"], 100 * near["risk"], marker="s", markersize=5, color="0.2", fillstyle="none"
            )
            if source == "news":
                place = (100 * near["coverage"], 100 * near["risk"])
                axis.annotate(name, place, (4, -10), textcoords="offset points", fontsize=8)
    axis.set_xlabel("insertions that stay, %")
    axis.set_ylabel("of these wrong, %")
    axis.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    style = {"svg.hashsalt": "restore", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    matplotlib.rcParams.update(style)
    return pyplot


def write(engines: dict[str, tuple[str, dict[str, Any]]], output: Path, figures: Path) -> None:
    """Write the JSON file, the page and the figures."""
    for folder in (output, figures):
        folder.mkdir(parents=True, exist_ok=True)
    data = {engine: {"name": name, "sources": sources} for engine, (name, sources) in engines.items()}
    (output / "calibration.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    lines = [
        "# Confidence\n",
        "Made by `python benchmarks/calibration.py`; do not edit. docs/confidence.md explains it.\n",
    ]
    for engine, (name, sources) in engines.items():
        lines += markdown(engine, name, sources)
        draw(sources, figures / f"reliability-{engine}.svg")
        draw_risk(sources, figures / f"risk-{engine}.svg")
    (output / "calibration.md").write_text("\n".join(lines), encoding="utf-8")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dev", type=Path, help=f"the folder with {', '.join(f'{source}.txt' for source in SOURCES)}")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--figures", type=Path, help="the folder for the figures; OUTPUT if not given")
    parser.add_argument("--engines", default="fast", help=f"of {', '.join(ENGINES[1:])}, separated by commas")
    parser.add_argument(
        "--words", action="append", default=[], metavar="SOURCE=N",
        help="the first paragraphs of each document of that source only, up to so many words",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, help="at most so many documents of each file")
    parser.add_argument("--resamples", type=int, default=1000)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    asked = parse(arguments)
    words = {name: int(number) for name, _, number in (entry.partition("=") for entry in asked.words)}
    engines = {}
    for engine in asked.engines.split(","):
        restorer = Restorer(engine=engine, repair=False)
        found = {}
        for source in SOURCES:
            print(f"{engine}: {source}", file=sys.stderr)
            found[source] = measure(restorer, asked.dev / f"{source}.txt", words.get(source), asked.limit)
        name = restorer.engine
        engines[engine] = (
            name,
            report(found, base_rates(name.partition(":")[0], restorer.channel.name), asked.resamples),
        )
    write(engines, asked.output, asked.figures or asked.output)
    print(asked.output / "calibration.md")


if __name__ == "__main__":
    main()
