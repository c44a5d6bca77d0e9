"""Make the README's table: every system on every kind of dev text, as JSON, Markdown and a chart.

    python benchmarks/table.py ../shared/corpus/dev -o benchmarks/results

Each system runs in a process of its own, so that peak memory is its own. Documents of even number report (`--half
even`): whatever was tuned, was tuned on the odd ones. A run that was broken off goes on with --resume, which trusts the
result files that are newer than their text and of the same version, engine and options.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restore.config import ENGINES
from restore.errors import RestoreError
from restore.evaluation import Result, read_result
from restore.evaluation.run import Options, evaluate
from restore.evaluation.signature import SCORER
from restore.evaluation.systems import System, make_system
from restore.version import __version__

HERE = Path(__file__).resolve().parent
SOURCES = {
    "news": "News",
    "encyclopedic": "Encyclopedic",
    "blog_government": "Blog and government",
    "speech": "Speech",
}
LABELS = {"none": "stripped text itself", "rules": "rules only", "truecase": "`truecase` package"}
SHIPPED = tuple(engine for engine in ENGINES if engine != "auto")

# Column head and score; the marks and capitals of text whose words are all there, and of the whole job.
FULL = (
    ("function words", "function_word_f1"), ("exact gaps", "exact_gap"), ("comma", "comma_f1"),
    ("full stop", "stop_f1"), ("question", "question_f1"), ("sentences", "sentence_f1"), ("capitals", "capital_f1"),
    ("forms", "form_accuracy"), ("inflected", "form_accuracy_inflected"), ("chrF", "chrf"),
    ("broken", "promise_failures"), ("words/s", "words_per_second"), ("MB", "peak_memory_mb"),
)  # fmt: skip
TRANSCRIPT = (
    ("comma", "comma_f1"), ("full stop", "stop_f1"), ("question", "question_f1"), ("micro", "punctuation_micro_f1"),
    ("sentences", "sentence_f1"), ("capitals", "capital_f1"), ("inside sentences", "capital_inner_f1"),
    ("chrF", "chrf"), ("broken", "promise_failures"), ("words/s", "words_per_second"), ("MB", "peak_memory_mb"),
)  # fmt: skip
COLUMNS = {"nltk": FULL, "transcript": TRANSCRIPT}
README_COLUMNS = {
    "none": "the stripped text", "rules": "rules only", "fast": "engine `fast`", "neural": "engine `neural`",
}  # fmt: skip
README_ROWS = {
    "dropped words, F1": "function_word_f1", "gaps exactly right, %": "exact_gap", "full stops, F1": "stop_f1",
    "commas, F1": "comma_f1", "capitals, F1": "capital_f1", "right form of the word, %": "form_accuracy",
    "right form of inflected words, %": "form_accuracy_inflected", "chrF": "chrf",
    "documents that do not strip back": "promise_failures",
}  # fmt: skip
NO_INTERVAL = ("promise_failures", "words_per_second", "peak_memory_mb")


@dataclass(frozen=True)
class Job:
    """One system on one file."""

    file: Path
    channel: str
    system: str
    half: str
    limit: int | None
    limit_tokens: int | None
    output: Path
    resume: bool


def jobs(arguments: argparse.Namespace) -> Iterator[Job]:
    chosen = arguments.engines.split(",")
    for source in SOURCES:
        file = arguments.dev / f"{source}.txt"
        for channel in COLUMNS:
            for system in ["none", "rules", *(["truecase"] if channel == "transcript" else []), *chosen]:
                output = arguments.output / f"{source}.{channel}.{system}.json"
                limit = arguments.limits.get(source, arguments.limits.get(""))
                yield Job(file, channel, system, arguments.half, limit, None, output, arguments.resume)
    if arguments.iwslt is not None:
        for system in ("rules", *chosen):
            output = arguments.output / f"iwslt.transcript.{system}.json"
            limit = arguments.limit_tokens
            yield Job(arguments.iwslt, "transcript", system, "all", None, limit, output, arguments.resume)


def make(job: Job) -> System:
    if job.system == "truecase":
        from peers import truecase_system

        return truecase_system()
    return make_system(job.system, job.channel)


def run(job: Job) -> str:
    """Measure one system, unless that has been done and is to be kept. Returns what is to be said about it."""
    try:
        system = make(job)
        name = system.name
    except (RestoreError, ImportError) as error:
        return f"left out: {error}"
    asked = {"version": __version__, "scorer": SCORER, "engine": name, "half": job.half, "limit": job.limit}
    asked["limit_tokens"] = job.limit_tokens
    if job.resume and job.output.exists() and job.output.stat().st_mtime > job.file.stat().st_mtime:
        signature = read_result(job.output).signature
        if asked == {key: signature.get(key) for key in asked}:
            return "there already"
    options = Options(channel=job.channel, half=job.half, limit=job.limit, limit_tokens=job.limit_tokens)
    result = evaluate([job.file], system, options)
    job.output.write_text(result.to_json(), encoding="utf-8")
    return "measured"


def read_all(folder: Path) -> dict[tuple[str, str, str], Result]:
    """Read every result of a folder, by source, channel and system.

    Raises:
        SystemExit: results that would stand in one table are of other documents, or of another scorer.
    """
    found = {}
    first: dict[tuple[str, str], tuple[Path, list[Any]]] = {}
    for path in sorted(folder.glob("*.*.*.json")):
        source, channel, system, _ = path.name.split(".")
        found[source, channel, system] = result = read_result(path)
        same = [result.signature.get(name) for name in ("data", "documents", "scorer", "channel")]
        other, wanted = first.setdefault((source, channel), (path, same))
        if same != wanted:
            sys.exit(f"{path.name} and {other.name} are of other documents or scorers; measure both anew, with equal limits")
    return found


def cell(result: Result, name: str) -> str:
    """Return a score as it stands in the table, with half the width of its interval."""
    score = result.scores.get(name)
    if score is None or score.value != score.value:
        return "-"
    if name == "words_per_second" and result.signature["engine"] == "none":
        return "-"
    if name in NO_INTERVAL:
        return f"{score.value:,.0f}"
    return f"{score.value:.1f} ±{(score.high - score.low) / 2:.1f}"


def markdown(results: dict[tuple[str, str, str], Result], systems: Sequence[str]) -> str:
    """Return the tables as Markdown."""
    parts = [
        "# Results\n",
        f"Made by `python benchmarks/table.py` with restore {__version__}; do not edit. Scores are in percent, ± half "
        "of the 95 % bootstrap interval over documents; docs/evaluation.md defines them. Each row's JSON file beside this "
        "page holds all scores, its signature and its counts.\n",
        "<!-- --8<-- [start:tables] -->",
    ]
    for channel, columns in COLUMNS.items():
        parts.append(f"## Channel `{channel}`\n")
        for source, title in SOURCES.items():
            rows = [
                (system, results[source, channel, system]) for system in systems if (source, channel, system) in results
            ]
            if not rows:
                continue
            first = rows[0][1].signature
            parts.append(f"### {title}: {first['documents']} documents, half {first['half']}, data `{first['data']}`\n")
            parts.append("| system | " + " | ".join(head for head, _ in columns) + " |")
            parts.append("|---|" + "---:|" * len(columns))
            for system, result in rows:
                cells = " | ".join(cell(result, name) for _, name in columns)
                parts.append(f"| {LABELS.get(system, system)} | {cells} |")
            parts.append("")
    return "\n".join([*parts, *iwslt_table(results, systems), "<!-- --8<-- [end:tables] -->\n"])


def with_figures(readme: str, results: dict[tuple[str, str, str], Result]) -> str:
    """Return a README with the figures of news between its marks, a column for each system."""
    columns = {system: results["news", "nltk", system] for system in README_COLUMNS}
    lines = ["| | " + " | ".join(README_COLUMNS.values()) + " |", "|---|" + "---|" * len(columns)]
    for title, name in README_ROWS.items():
        cells = []
        for result in columns.values():
            score = result.scores[name]
            exact = name == "promise_failures" or score.value == score.low == score.high
            cells.append(f"{score.value:.0f}" if exact else f"{score.value:.1f} ({score.low:.1f} to {score.high:.1f})")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    start, end = "<!-- --8<-- [start:figures] -->\n", "<!-- --8<-- [end:figures] -->"
    return readme[: readme.index(start) + len(start)] + "\n".join(lines) + "\n" + readme[readme.index(end) :]


def iwslt_table(results: dict[tuple[str, str, str], Result], systems: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the IWSLT table: ours, and the published rows with what differs."""
    ours = [
        (system, results["iwslt", "transcript", system])
        for system in systems
        if ("iwslt", "transcript", system) in results
    ]
    if not ours:
        return
    published = json.loads((HERE / "published.json").read_text(encoding="utf-8"))
    yield "## IWSLT punctuation, all words present\n"
    yield "| system | comma | full stop | question | micro | measured on |"
    yield "|---|---:|---:|---:|---:|---|"
    for system, result in ours:
        names = ("comma_f1", "stop_f1", "question_f1", "punctuation_micro_f1")
        tokens = result.signature.get("limit_tokens")
        where = "dev2012" if tokens is None else f"dev2012, first {tokens:,} tokens"
        yield f"| {LABELS.get(system, system)} | " + " | ".join(cell(result, name) for name in names) + f" | {where} |"
    for row in published["rows"]:
        marks = " | ".join(f"{row[mark]:.1f}" for mark in ("comma", "stop", "question", "micro"))
        yield f"| {row['system']} ({row['source']}) | {marks} | IWSLT 2011 |"
    yield f"\nWhat differs: {published['differs']}\n"


def chart(results: dict[tuple[str, str, str], Result], systems: Sequence[str], path: Path) -> None:
    """Draw the main scores of every system and source, with intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams.update(
        {"svg.hashsalt": "restore", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    )
    panels = [
        ("function words F1", "nltk", "function_word_f1"), ("comma, stop, question F1", "nltk", "punctuation_micro_f1"),
        ("capitals F1", "nltk", "capital_f1"), ("inflected forms right, %", "nltk", "form_accuracy_inflected"),
        ("transcript: comma, stop, question F1", "transcript", "punctuation_micro_f1"),
        ("transcript: capitals F1", "transcript", "capital_f1"),
    ]  # fmt: skip
    figure, axes = pyplot.subplots(2, 3, figsize=(11, 5.5), sharey=True, layout="constrained")
    shown = [system for system in systems if any(key[2] == system for key in results)]
    sources = [source for source in SOURCES if any(key[0] == source for key in results)]
    colours = pyplot.get_cmap("viridis")
    for axis, (title, channel, name) in zip(axes.flat, panels, strict=True):
        width = 0.8 / max(1, len(shown))
        for place, system in enumerate(shown):
            for at, source in enumerate(sources):
                result = results.get((source, channel, system))
                if result is None or result.scores[name].value != result.scores[name].value:
                    continue
                score = result.scores[name]
                error = [[max(0.0, score.value - score.low)], [max(0.0, score.high - score.value)]]
                left = at - 0.4 + width * (place + 0.5)
                shade = colours(place / max(1, len(shown) - 1) * 0.85)
                axis.bar(left, score.value, width, yerr=error, color=shade, error_kw={"elinewidth": 0.8}, label=system)
        axis.set_title(title, fontsize=9, loc="left")
        axis.set_ylim(0, 100)
        axis.set_xticks(range(len(sources)), [SOURCES[source].replace(" and ", "\nand ") for source in sources])
    handles = {}
    for axis in axes.flat:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    ordered = [system for system in shown if system in handles]
    labels = [LABELS.get(system, system).replace("`", "") for system in ordered]
    figure.legend([handles[system] for system in ordered], labels, loc="outside lower center", ncols=len(ordered) or 1)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "dev", type=Path, help="the folder with news.txt, encyclopedic.txt, blog_government.txt and speech.txt"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="the folder for results.md, chart.svg and the JSON files"
    )
    parser.add_argument(
        "--engines", default=",".join(SHIPPED), help="engines, separated by commas (default: %(default)s)"
    )
    parser.add_argument("--half", choices=("even", "odd", "all"), default="even")
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="[NAME=]N",
        help="at most so many documents of each file, or of that named",
    )
    parser.add_argument("--readme", type=Path, help="a README whose table of figures is to be written anew")
    parser.add_argument("--iwslt", type=Path, help="a file in the IWSLT format, such as dev2012")
    parser.add_argument("--limit-tokens", type=int, help="at most so many tokens of it")
    parser.add_argument("--figures", type=Path, help="another folder for chart.svg")
    parser.add_argument("--resume", action="store_true", help="keep the results that are there already")
    asked = parser.parse_args(arguments)
    pairs = (limit.rpartition("=") for limit in asked.limit)
    asked.limits = {name: int(number) for name, _, number in pairs}
    return asked


def main(arguments: Sequence[str] | None = None) -> None:
    asked = parse(arguments)
    figures = asked.figures or asked.output
    for folder in (asked.output, figures):
        folder.mkdir(parents=True, exist_ok=True)
    listed = list(jobs(asked))
    if missing := sorted({str(job.file) for job in listed if not job.file.exists()}):
        sys.exit(f"{', '.join(missing)}: there is no such file; nothing was measured")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for job, said in zip(listed, pool.imap(run, listed), strict=True):
            print(f"{job.output.name}: {said}", file=sys.stderr)
    results = read_all(asked.output)
    systems = ["none", "rules", "truecase", *SHIPPED]
    (asked.output / "results.md").write_text(markdown(results, systems), encoding="utf-8")
    chart(results, systems, figures / "chart.svg")
    if asked.readme is not None:
        text = asked.readme.read_text(encoding="utf-8")
        asked.readme.write_text(with_figures(text, results), encoding="utf-8")
    print(asked.output / "results.md")


if __name__ == "__main__":
    main()
