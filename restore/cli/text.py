"""`restore FILE`: restore one text."""

from __future__ import annotations

import json
import sys

import click

from restore.cli.files import check_output, read_text, write_text
from restore.cli.options import channel_option, engine_options


@click.command(name="restore a text", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", default="-")
@click.option(
    "-o", "--output", type=click.Path(), help="Write to this file, whole or not at all; never over the input."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: text, edits, kept, repairs, and how.")
@click.option("--repair/--no-repair", default=True, show_default=True, help="Mend typos and glued words in the input.")
@channel_option
@engine_options
def text_command(
    file: str, output: str | None, as_json: bool, repair: bool, channel: str, engine: str, model: str | None, beam: int
) -> None:
    """Restore the text in FILE (- is standard input)."""
    from restore.restorer import Restorer

    check_output(output, (file,))
    restorer = Restorer(channel=channel, engine=engine, model=model, beam=beam, repair=repair)
    restoration = restorer.restore(read_text(file))
    for note in restoration.notes:
        click.echo(f"restore: note: {note}", err=True)
    if as_json:
        write_text(output, json.dumps(restoration.to_dict(), ensure_ascii=False) + "\n")
        return
    ends_open = output is None and not restoration.text.endswith("\n") and sys.stdout.isatty()
    write_text(output, restoration.text + ("\n" if ends_open else ""))
