"""`restore batch`: restore a whole table or folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restore.cli.files import SAME_FILE, same_file
from restore.cli.options import confidence_options
from restore.cli.text import text_command
from restore.errors import InputError

if TYPE_CHECKING:
    from restore.batch.runner import Progress

PATH = click.Path(path_type=Path)
MOST_MESSAGES = 1_000
MANY = "restore: more bad rows than these are not listed here; each has its error in the output"
DONE = "restore: {rows:,} rows in {seconds:.0f} s ({rate:,.0f} words/s)"
KEPT = ", {kept:,} of them by an earlier run"
WHOLE = "restore: {path} was whole already, made by an earlier run; nothing was left to do"
BAD = "; {errors:,} could not be restored and say why in {name!r}"
NONE_GOOD = "none of the {rows:,} rows could be restored; check the input and --text-field"
INTERRUPTED = "restore: interrupted; what was done so far is kept, so run the same command again"

STYLE = {"us": "abbreviations", "quotes": "quotes", "dash": "dash", "serial_comma": "serial_comma"}
HOW = ("terms", "repair", "channel", "engine", "model", "beam")
"""The options that say how to restore: they are those of `restore FILE`."""

EPILOG = """\b
Examples:
  restore batch articles.jsonl -o restored.jsonl
  restore batch articles.csv.gz -o restored.csv.gz --text-field body --workers 8
  restore batch articles.parquet -o restored.parquet --channel stemmed
  restore batch stripped/ -o restored/
"""


@click.command(epilog=EPILOG)
@click.argument("source", metavar="IN", type=PATH)
@click.option("-o", "--output", "target", metavar="OUT", type=PATH, required=True, help="The table or folder to write.")
@click.option("--text-field", default="text", show_default=True, metavar="NAME", help="The field with stripped text.")
@click.option(
    "--output-field", default="restored", show_default=True, metavar="NAME", help="The new field with restored text."
)
@click.option("--prefix", default="", metavar="TEXT", help="Put before the names of all other new fields.")
@click.option(
    "--workers", type=click.IntRange(1, 1024), default=None, help="Processes at work.  [default: one for each core]"
)
@click.option("--ray", "address", metavar="ADDRESS", help="Work on this Ray cluster (`auto`: the one that is here).")
@click.option("--strict", is_flag=True, help="Stop at the first bad row, with status 1.")
@click.option("--force", is_flag=True, help="Overwrite OUT; in a folder, files of the same names.")
@click.option(
    "--max-bytes",
    type=click.IntRange(1, 1 << 30),
    default=1_000_000,
    show_default=True,
    help="A row (a line, a record, a file, a Parquet text) with more is not restored, but reported.",
)
@click.option(
    "--part-rows",
    type=click.IntRange(1, 100_000),
    default=32,
    show_default=True,
    help="Rows restored and saved together: what a kill can cost a worker.",
)
@confidence_options
def batch_command(
    source: Path,
    target: Path,
    text_field: str,
    output_field: str,
    prefix: str,
    workers: int | None,
    address: str | None,
    strict: bool,
    force: bool,
    max_bytes: int,
    part_rows: int,
    **options: Any,
) -> None:
    """Restore every row of the table IN, or every file of the folder IN.

    IN is JSON Lines (.jsonl), CSV (.csv, .tsv) or Parquet, or a folder of text files; .gz, .zst and .xz may follow the
    name. OUT has one row for each row of IN, in order: its fields, then the restored text, confidence, flags, kept, repairs,
    notes, channel, signature and error. A bad row is reported, and has its error there. A run that was broken off, killed
    even, goes on where it was when the same command is given again.
    """
    from restore.batch.processes import Processes
    from restore.batch.runner import Job, run_batch
    from restore.batch.tables import Columns
    from restore.cores import usable_cores
    from restore.terms import read_terms

    if workers is not None and address is not None:
        raise click.UsageError("--workers are processes here, and --ray works on a cluster, which has its own; give one of them")
    terms = options.pop("terms")
    for path in (terms, options["channel"]):
        if path and same_file(str(target), path):
            raise InputError(SAME_FILE.format(path=target))
    options["terms"] = read_terms(terms) if terms else ()
    options["style"] = {name: options.pop(option) for option, name in STYLE.items()}
    columns = Columns(text_field, output_field, prefix, max_bytes)
    job = Job(source, target, columns, options, part_rows, force, strict)
    work: Any
    if address is None:
        work = Processes(options, workers or usable_cores())
    else:
        from restore.batch.cluster import Cluster

        work = Cluster(options, address)
    with _listener() as listener:
        try:
            progress = run_batch(job, work, listener)
        except KeyboardInterrupt as error:
            listener.write(INTERRUPTED)
            raise click.exceptions.Exit(130) from error
    click.echo(WHOLE.format(path=target) if progress.whole else _summary(progress, columns.new[-1]), err=True)
    if progress.errors and progress.errors == progress.rows:
        raise InputError(NONE_GOOD.format(rows=progress.rows))


batch_command.params += [option for option in text_command.params if option.name in (*HOW, *STYLE)]


def _summary(progress: Progress, error_name: str) -> str:
    rate = progress.words / progress.seconds if progress.seconds else 0
    line = DONE.format(rows=progress.rows, seconds=progress.seconds, rate=rate)
    if progress.kept_rows:
        line += KEPT.format(kept=progress.kept_rows)
    if progress.errors:
        line += BAD.format(errors=progress.errors, name=error_name)
    return line


class _Lines:
    """Writes bad rows to standard error."""

    def __init__(self) -> None:
        self._messages = 0

    def progressed(self, progress: Progress) -> None:
        """Say nothing."""

    def bad_row(self, message: str) -> None:
        """Write a line, unless there were too many."""
        self._messages += 1
        if self._messages <= MOST_MESSAGES:
            self.write(f"restore: {message}")
        if self._messages == MOST_MESSAGES:
            self.write(MANY)

    def write(self, line: str) -> None:
        """Write a line as it is."""
        click.echo(line, err=True)


class _Bar(_Lines):
    """Draws a progress bar, too."""

    def __init__(self, bar: Any) -> None:
        super().__init__()
        self._bar = bar
        self._task = bar.add_task("restoring", total=None, rate="", left="")
        self._started = time.monotonic()

    def progressed(self, progress: Progress) -> None:
        """Move the bar on."""
        self._bar.update(
            self._task,
            total=max(progress.total, 1),
            completed=progress.position,
            rate=f"{progress.rows:,} rows" + _rate(progress),
            left=_left(progress),
        )

    def write(self, line: str) -> None:
        """Write a line above the bar."""
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _rate(progress: Progress) -> str:
    rows = progress.rows - progress.kept_rows
    return f", {rows / progress.seconds:,.1f}/s" if rows and progress.seconds else ""


def _left(progress: Progress) -> str:
    """Return the time left, by what this run has done so far."""
    done = progress.position - progress.kept_position
    if not done or not progress.seconds:
        return ""
    seconds = int((progress.total - progress.position) / done * progress.seconds)
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}:{minutes:02d}:{seconds % 60:02d} left"


@contextmanager
def _listener() -> Iterator[_Lines]:
    """Yield what tells the user how the run goes: with a bar if standard error is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rate]}"), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield _Bar(bar)
