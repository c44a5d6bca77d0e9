"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from restore.channel import channel_names
from restore.config import AUTO, ENGINES, PRESETS

Command = TypeVar("Command", bound=Callable[..., Any])

STRIPPING = ("strip", "evaluate")
"""The commands that strip, where nothing can be told from the text."""


def _channels(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a channel: a name, or a file that defines one."""
    every = (*channel_names(), AUTO) if ctx.command.name not in STRIPPING else channel_names()
    names = [CompletionItem(name) for name in every if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


def channel_option(command: Command) -> Command:
    """Add --channel to a command that restores."""
    return _channel_option(f"How the text was stripped: {', '.join(channel_names())}, a .toml file, or auto.")(command)


def stripping_option(command: Command) -> Command:
    """Add --channel to a command that strips."""
    return _channel_option(f"How to strip: {', '.join(channel_names())}, or a .toml file.")(command)


def _channel_option(about: str) -> Callable[[Command], Command]:
    return click.option(
        "--channel", default="nltk", show_default=True, metavar="NAME", shell_complete=_channels, help=about
    )


def confidence_options(command: Command) -> Command:
    """Add --min-confidence, --conservative and --fluent, which all give `min_confidence`."""

    @wraps(command)
    def merged(*args: Any, min_confidence: float | None, conservative: bool, fluent: bool, **options: Any) -> Any:
        given = {"min-confidence": min_confidence is not None, "conservative": conservative, "fluent": fluent}
        first, *others = [f"--{name}" for name, asked in given.items() if asked] or [""]
        if others:
            raise click.UsageError(f"{first} and {others[0]} contradict each other; give one of them")
        least = PRESETS["conservative"] if conservative else min_confidence or 0.0
        return command(*args, min_confidence=least, **options)

    for name, about in (
        ("fluent", "All that the model would write (the default)."),
        ("conservative", f"Only what is more likely right than wrong: --min-confidence {PRESETS['conservative']}."),
    ):
        merged = click.option(f"--{name}", is_flag=True, help=about)(merged)
    return click.option(
        "--min-confidence",
        type=click.FloatRange(0, 1),
        metavar="P",
        help="Leave out what is inserted with less confidence than P, from 0 to 1.",
    )(merged)  # type: ignore[return-value]


def engine_options(command: Command) -> Command:
    """Add --engine, --model and --beam."""
    command = click.option(
        "--beam",
        type=click.IntRange(1, 256),
        default=None,
        help="Hypotheses kept at each word; without it, what suits the engine.",
    )(command)
    command = click.option(
        "--model",
        type=click.Path(),
        default=None,
        help="A folder made by `restore train`, or a Hugging Face model's, in place of the usual model.",
    )(command)
    return click.option(
        "--engine", type=click.Choice(ENGINES), default="auto", show_default=True,
        help="Which language model: fast (n-gram), neural (transformer), or the best that is installed.",
    )(command)  # fmt: skip
