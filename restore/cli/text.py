"""`restore FILE`: restore one text."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import click

from restore.cli.files import check_output, check_standard_output, name_of, read_text, write_pieces, write_text
from restore.cli.options import channel_option, confidence_options, engine_options
from restore.cli.progress import ProgressLine

if TYPE_CHECKING:
    from restore.restoration import Restoration

COLORS = ("auto", "always", "never")

NO_FILES = "{words!r} is no file; restore reads a file, or words from a pipe: echo '{words}' | restore"
MOST_QUOTED = 200
"""How much an error repeats of what was given, in characters."""
NO_SUCH = "{other!r} is no file; if the result is to go there: restore {file} -o {other}"
TABLES = (".jsonl", ".ndjson", ".csv", ".tsv")
TABLE = "{path} is a table by its name, and was taken for one text; to restore its rows: restore batch {path} -o OUT"
MANY_FILES = "restore takes one file at a time, and {count} are given; for many: restore batch FOLDER -o OUT"


class _TextCommand(click.Command):
    """A command whose `--color` may stand alone, and that says what to do with more than one file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for place, (arg, after) in enumerate(zip(args, [*args[1:], "-"], strict=True)):
            if arg == "--color" and (after.startswith("-") or os.path.exists(after)):
                args = [*args[:place], "--color=auto", *args[place + 1 :]]
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            words = [str(ctx.params["file"]), *ctx.args]
            given = " ".join(words)
            if " " in given and not any(os.path.exists(word) for word in words):
                raise click.UsageError(NO_FILES.format(words=shorten(given, MOST_QUOTED, placeholder=" ...")))
            if len(words) == 2 and os.path.exists(words[0]) and not os.path.exists(words[1]):
                raise click.UsageError(NO_SUCH.format(file=words[0], other=words[1]))
            if ctx.args:
                raise click.UsageError(MANY_FILES.format(count=len(words)))
        return rest

    def get_help(self, ctx: click.Context) -> str:
        """Return the help of `restore`, whose command without a name this is."""
        return ctx.parent.get_help() if ctx.parent is not None else super().get_help(ctx)


@click.command(
    name="restore a text",
    cls=_TextCommand,
    context_settings={"help_option_names": ["-h", "--help"], "allow_extra_args": True},
)
@click.argument("file", default="-", type=click.Path())
@click.option(
    "-o", "--output", type=click.Path(), help="Write to this file, whole or not at all; never over the input."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: text, edits, kept, repairs, and how.")
@click.option("--html", type=click.Path(), help="Write a page that shows what is given and what is guessed.")
@click.option(
    "--color",
    type=click.Choice(COLORS),
    default="never",
    help="Mark guesses by colour; --color alone marks them in a terminal, and not in a pipe or file.",
)
@click.option("--terms", type=click.Path(), help="A file of names and words as they should be written, one a line.")
@click.option("--us", type=click.Choice(["plain", "dotted"]), help="House style: US or U.S.")
@click.option(
    "--quotes", type=click.Choice(["straight", "curly"]), help="House style: quotation marks and apostrophes."
)
@click.option("--dash", type=click.Choice(["tight", "spaced"]), help="House style: dashes.")
@click.option("--serial-comma/--no-serial-comma", default=None, help="House style: a comma before a list's last `and`.")
@click.option("--repair/--no-repair", default=True, show_default=True, help="Mend typos and glued words in the input.")
@click.option("--nbest", type=click.IntRange(2, 100), metavar="N", help="Print the N best readings of each sentence.")
@channel_option
@engine_options
@confidence_options
def text_command(
    file: str,
    output: str | None,
    as_json: bool,
    html: str | None,
    color: str,
    terms: str | None,
    us: str | None,
    quotes: str | None,
    dash: str | None,
    serial_comma: bool | None,
    nbest: int | None,
    **options: Any,
) -> None:
    """Restore the text in FILE (- is standard input)."""
    from restore.restorer import Restorer
    from restore.style import Style
    from restore.terms import read_terms

    inputs = (file, *([terms] if terms else []), options["channel"])
    check_output(output, inputs)
    check_output(html, inputs)
    if html is not None and output is not None and Path(html).resolve() == Path(output).resolve():
        raise click.UsageError(f"--html and -o both name {html}; give each its own file")
    for name, asked in (("-o", output not in (None, "-")), ("--json", as_json), ("--nbest", nbest is not None)):
        if color == "always" and asked:
            raise click.UsageError(f"--color always marks the text on standard output, where none goes with {name}; drop one")
    colored = output in (None, "-") and _wants_color(color)
    for name, asked in (("json", as_json), ("nbest", nbest is not None), ("color", colored)):
        if html == "-" and asked and output in (None, "-"):
            raise click.UsageError(f"--html - and --{name} both go to standard output; give one of them a file")
    check_standard_output(file)
    style = Style(abbreviations=us, quotes=quotes, dash=dash, serial_comma=serial_comma)
    restorer = Restorer(terms=read_terms(terms) if terms else (), style=style, **options)
    text = read_text(file)
    if Path(file).suffix.lower() in TABLES:
        _tell([TABLE.format(path=file)])
    if as_json or html is not None or colored or nbest is not None:
        with ProgressLine(len(text)) as line:
            restoration = restorer.restore(text, progress=line.tell)
        _tell(restoration.notes)
        if html is not None:
            from restore.render import render_page

            write_text(html, render_page(restoration, name_of(file), restorer.channel))
        if as_json:
            whole = restoration.to_dict()
            if nbest is not None:
                from restore.cli.nbest import nbest_data

                whole["nbest"] = nbest_data(restoration, nbest)
            write_text(output, json.dumps(whole, ensure_ascii=False) + "\n")
        elif nbest is not None:
            from restore.cli.nbest import nbest_text

            write_text(output, nbest_text(restoration, nbest))
        elif colored:
            _show(restoration)
        elif output is not None:
            write_text(output, restoration.text)
        return
    notes: list[str] = []
    with ProgressLine(len(text)) as line:
        write_pieces(output, line.watch(restorer.stream(text, notes, line.tell), output))
    _tell(notes)


def _wants_color(color: str) -> bool:
    """Tell whether to mark guesses on standard output; `auto` heeds NO_COLOR and dumb terminals."""
    if color != "auto":
        return color == "always"
    from rich.console import Console

    console = Console()
    return console.color_system is not None and not console.no_color


def _show(restoration: Restoration) -> None:
    from restore.render.terminal import legend, render_terminal

    write_text(None, render_terminal(restoration))
    if sys.stderr is not None and sys.stderr.isatty() and (line := legend(restoration)):
        click.echo(f"\n{line}", err=True, color=True)


def _tell(notes: Iterable[str]) -> None:
    for note in notes:
        click.echo(f"restore: note: {note}", err=True)
