"""`restore strip FILE`: the forward direction."""

from __future__ import annotations

import click

from restore.channel import get_channel
from restore.cli.files import check_output, check_standard_output, read_text, write_text
from restore.cli.options import stripping_option


@click.command()
@click.argument("file", default="-", type=click.Path())
@click.option(
    "-o", "--output", type=click.Path(), help="Write to this file, whole or not at all; never over the input."
)
@stripping_option
def strip_command(file: str, output: str | None, channel: str) -> None:
    """Strip the text in FILE (- is standard input) as a channel does, to one line."""
    check_output(output, (file, channel))
    check_standard_output(file)
    way = get_channel(channel)
    write_text(output, way.strip(read_text(file)) + "\n")
