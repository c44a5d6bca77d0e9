"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from restore.channel import channel_names
from restore.config import ENGINES

Command = TypeVar("Command", bound=Callable[..., Any])


def channel_option(command: Command) -> Command:
    """Add --channel."""
    return click.option(
        "--channel",
        default="nltk",
        show_default=True,
        metavar="NAME",
        help=f"How the text was stripped: {', '.join(channel_names())}, a .toml file, or auto.",
    )(command)


def engine_options(command: Command) -> Command:
    """Add --engine, --model and --beam."""
    command = click.option(
        "--beam", type=click.IntRange(1, 256), default=8, show_default=True, help="Hypotheses kept at each word."
    )(command)
    command = click.option(
        "--model",
        type=click.Path(),
        default=None,
        help="A folder made by `restore train`, in place of the usual model.",
    )(command)
    return click.option(
        "--engine", type=click.Choice(ENGINES), default="auto", show_default=True,
        help="Which language model: fast (n-gram), or the best that is installed.",
    )(command)  # fmt: skip
