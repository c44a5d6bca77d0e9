"""`restore channels`: what there is, by example."""

from __future__ import annotations

import click

from restore.channel import channel_names, get_channel

EXAMPLE = "The U.S. has deported 6,000 men, but their families don't know where they're being held."


@click.command()
def channels_command() -> None:
    """List the channels, with what each makes of one sentence."""
    click.echo(f"{'':17}{EXAMPLE}\n")
    for name in channel_names():
        channel = get_channel(name)
        click.echo(f"{name:17}{channel.about}\n{'':17}{channel.strip(EXAMPLE)}\n")
