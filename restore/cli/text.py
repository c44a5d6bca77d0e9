"""`restore FILE`: restore one text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click

from restore.cli.files import check_output, read_text, write_pieces, write_text
from restore.cli.options import channel_option, engine_options


@click.command(name="restore a text", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", default="-")
@click.option(
    "-o", "--output", type=click.Path(), help="Write to this file, whole or not at all; never over the input."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: text, edits, kept, repairs, and how.")
@click.option("--terms", type=click.Path(), help="A file of names and words as they should be written, one a line.")
@click.option("--us", type=click.Choice(["plain", "dotted"]), help="House style: US or U.S.")
@click.option("--quotes", type=click.Choice(["straight", "curly"]), help="House style: quotation marks and apostrophes.")
@click.option("--dash", type=click.Choice(["tight", "spaced"]), help="House style: dashes.")
@click.option("--serial-comma/--no-serial-comma", default=None, help="House style: a comma before a list's last `and`.")
@click.option("--repair/--no-repair", default=True, show_default=True, help="Mend typos and glued words in the input.")
@channel_option
@engine_options
def text_command(
    file: str,
    output: str | None,
    as_json: bool,
    terms: str | None,
    us: str | None,
    quotes: str | None,
    dash: str | None,
    serial_comma: bool | None,
    **options: Any,
) -> None:
    """Restore the text in FILE (- is standard input)."""
    from restore.restorer import Restorer
    from restore.style import Style
    from restore.terms import read_terms

    check_output(output, (file,))
    style = Style(abbreviations=us, quotes=quotes, dash=dash, serial_comma=serial_comma)
    restorer = Restorer(terms=read_terms(terms) if terms else (), style=style, **options)
    text = read_text(file)
    if as_json:
        restoration = restorer.restore(text)
        _tell(restoration.notes)
        write_text(output, json.dumps(restoration.to_dict(), ensure_ascii=False) + "\n")
        return
    notes: list[str] = []
    write_pieces(output, restorer.stream(text, notes))
    _tell(notes)


def _tell(notes: Iterable[str]) -> None:
    for note in notes:
        click.echo(f"restore: note: {note}", err=True)
