"""`restore evaluate`: score restoration on texts whose originals are known."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from restore.cli.files import check_output, write_text
from restore.cli.options import stripping_option
from restore.config import ENGINES
from restore.evaluation.documents import HALVES
from restore.evaluation.systems import BASELINES

INPUT = click.Path(path_type=Path)

EPILOG = """\b
Examples:
  restore evaluate mine.txt
  restore evaluate dev/news.txt --half even --engine rules -o rules.json
  restore evaluate dev/news.txt --half even -o fast.json --against rules.json
  restore evaluate dev/news.txt --hypotheses theirs.txt
  restore evaluate iwslt/dev2012 --channel transcript --limit-tokens 20000
"""


@click.command(epilog=EPILOG)
@click.argument("files", nargs=-1, required=True, type=INPUT)
@stripping_option
@click.option(
    "--engine",
    type=click.Choice([*ENGINES, *BASELINES]),
    default="auto",
    show_default=True,
    help="What restores: an engine, `none` (the stripped text itself) or `rules` (most frequent forms, a capital first "
    "and a full stop last).",
)
@click.option("--model", type=click.Path(path_type=Path), help="A model folder in place of the engine's own.")
@click.option("--beam", type=click.IntRange(1, 256), help="How many hypotheses the search keeps.")
@click.option("--hypotheses", type=INPUT, help="Score these outputs (one closed by %%% for each document) instead.")
@click.option(
    "--half",
    type=click.Choice(HALVES),
    default="all",
    show_default=True,
    help="Documents of odd or even number in each file: choose by the odd, report on the even.",
)
@click.option("--limit", type=click.IntRange(1), help="At most so many documents of each file.")
@click.option("--limit-tokens", type=click.IntRange(1), help="At most so many tokens of each IWSLT file.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the bootstrap.")
@click.option("--search-errors/--no-search-errors", default=True, help="Ask engines about their search; takes time.")
@click.option("--against", type=INPUT, help="Compare with this result file by a paired bootstrap test.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("-o", "--output", type=click.Path(), help="Write the result as JSON, too.")
@click.pass_context
def evaluate(
    ctx: click.Context,
    files: tuple[Path, ...],
    channel: str,
    engine: str,
    model: Path | None,
    beam: int | None,
    hypotheses: Path | None,
    half: str,
    limit: int | None,
    limit_tokens: int | None,
    seed: int,
    search_errors: bool,
    against: Path | None,
    form: str,
    output: str | None,
) -> None:
    """Strip original texts, restore them, and score the outcome.

    FILES are texts, plain or with documents closed by a line %%% (.xz and .gz too), or punctuation data in the IWSLT
    format. Every score comes with a 95 % interval over documents; docs/evaluation.md defines them all.
    """
    from restore.evaluation.result import compare, read_result
    from restore.evaluation.run import Options, evaluate_outputs
    from restore.evaluation.run import evaluate as run
    from restore.evaluation.systems import make_system

    if hypotheses is not None:
        for name in ("engine", "model", "beam"):
            if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
                raise click.UsageError(f"--{name} says what restores, and with --hypotheses nothing is restored; leave one out")
    read = [*files, *(path for path in (hypotheses, against) if path is not None), channel]
    check_output(output, tuple(map(str, read)))
    other = None if against is None else read_result(against)  # before the work, so that a bad file costs nothing
    options = Options(
        channel=channel,
        half=half,
        limit=limit,
        limit_tokens=limit_tokens,
        seed=seed,
        search_errors=search_errors,
        beam=beam,
    )
    if hypotheses is not None:
        result = evaluate_outputs(files, hypotheses, hypotheses.name, options)
    else:
        system = make_system(engine, channel, model, **({} if beam is None else {"beam": beam}))
        with _progress() as progress:
            result = run(files, system, options, progress)
    if output is not None:  # before the comparison, which may find that the other result is of other data
        write_text(output, result.to_json())
    comparison = None if other is None else compare(result, other, seed=seed)
    if form == "json":
        text = result.to_json()
        if comparison is not None:
            compared = {name: asdict(found) for name, found in comparison.items()}
            text = f'{{"against": {json.dumps(compared)},{text[1:]}'
        click.echo(text, nl=False)
        return
    from rich.console import Console

    from restore.evaluation.report import comparison_table, result_table

    console = Console(soft_wrap=True, highlight=False)
    console.print(result_table(result))
    if comparison is not None:
        console.print()
        console.print(comparison_table(comparison))


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """Yield a function that draws a progress bar on standard error, or None if that is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("restoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("restoring", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
