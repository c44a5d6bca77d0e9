"""The command group: what to run, and how errors end it."""

from __future__ import annotations

import difflib
import importlib
import io
import os
import signal
import sys
import threading
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from restore.cli.text import text_command
from restore.errors import RestoreError
from restore.version import __version__

SUBCOMMANDS = {
    "strip": ("restore.cli.strip", "strip_command", "Strip texts: the forward direction."),
    "channels": ("restore.cli.channels", "channels_command", "List the channels, with an example of each."),
    "evaluate": ("restore.cli.evaluate", "evaluate", "Strip, restore and score original texts."),
    "batch": ("restore.cli.batch", "batch_command", "Restore a table or a folder of texts, and resume if stopped."),
    "explain": (
        "restore.cli.explain",
        "explain_command",
        "Show what was made of each sentence, and how sure it is.",
    ),
    "train": ("restore.cli.train", "train_command", "Make models and tables from your own text."),
}
"""Name, module, command and help of each subcommand: modules load when they are called for."""


NO_COMMAND = "{word!r} is neither a file nor a command; did you mean: restore {near}"


NO_OPTION = "there is no option {word!r}; did you mean: restore --version"


def _check_first(args: list[str]) -> None:
    """Refuse a first argument that is no file, and looks like a command misspelled."""
    word = args[0]
    if difflib.get_close_matches(word, ["--version"], cutoff=0.8) and word != "--version":
        raise click.UsageError(NO_OPTION.format(word=word))
    if word in SUBCOMMANDS or word.startswith("-") or os.path.exists(word):
        return
    for near in difflib.get_close_matches(word, [*SUBCOMMANDS, "help", "version", "restore"], n=1, cutoff=0.75):
        command = {"help": "--help", "version": "--version", "restore": ""}.get(near, near)
        raise click.UsageError(NO_COMMAND.format(word=word, near=" ".join([command, *args[1:]]).strip()))


class _Group(click.Group):
    """A group whose first argument may be a file: what is no subcommand is restored."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not (sys.stdin is not None and sys.stdin.isatty()) and not ctx.resilient_parsing:
            args = ["-"]
        if args and not ctx.resilient_parsing:
            _check_first(args)
        if args and args[0] not in SUBCOMMANDS and args[0] not in ("-h", "--help", "--version"):
            args = [text_command.name or "", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a first argument: a subcommand, an option, or a file to restore."""
        restoring = click.Context(text_command, parent=ctx, info_name=text_command.name, resilient_parsing=True)
        found = [*super().shell_complete(ctx, incomplete), *text_command.shell_complete(restoring, incomplete)]
        unique = {item.value: item for item in found}
        if not incomplete.startswith("-"):
            return [*unique.values(), CompletionItem(incomplete, type="file")]
        return [*unique.values()]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == text_command.name:
            return text_command
        if cmd_name not in SUBCOMMANDS:
            return None
        module, name, _ = SUBCOMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Other commands (a file of such a name: ./strip)"):
            formatter.write_dl([(name, about) for name, (_, _, about) in SUBCOMMANDS.items()])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        text_command.format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage("restore", "[OPTIONS] [FILE|-]\nrestore COMMAND [ARGS]...")


@click.group(
    cls=_Group,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Turn stripped text back into readable prose.

    FILE holds text that lost its stop words, punctuation, capitals and inflection; `-`, or nothing at the end of a
    pipe, is standard input. The prose goes to standard output. Stripping it again gives the input's words: none is
    lost, invented, reordered or replaced, but for typos, which are mended (--no-repair), and words that this stripping
    cannot have left, which stand as they were. What was put in is a guess; --json shows each one.

    \b
      restore article.txt
      restore article.txt -o prose.txt
      some-command | restore --channel transcript
      restore strip original.txt | restore
    """,
)
@click.version_option(__version__, prog_name="restore")
def group() -> None:
    """Hold the subcommands."""


def _where_to_look(error: click.ClickException) -> str:
    """Return where the usage of the command that failed is explained."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return ""
    path = context.command_path.replace(f" {text_command.name}", "")
    return f"; see {path} --help"


def _about_system(error: OSError) -> str:
    """Say what the system refused, such as a folder that may not be written or a disk that is full."""
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else error.strerror or str(error)


def _write_whole() -> None:
    """Give standard output the buffer that PYTHONUNBUFFERED takes: without it, a write may end halfway and say nothing."""
    out = sys.stdout
    if isinstance(getattr(out, "buffer", None), io.RawIOBase):
        sys.stdout = open(out.fileno(), "w", encoding=out.encoding, errors=out.errors, closefd=False)  # noqa: SIM115


def _end_in_order() -> None:
    """Let a process that is asked to end tidy up first: scratch files go, as after Control-C."""

    def end(number: int, frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        return
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP, and so do we
            signal.signal(number, end)


def main(args: list[str] | None = None) -> Any:
    """Run the command line, ending the process.

    Status 0, 1 for bad data, 2 for wrong usage, 130 if interrupted, 128 and the signal's number if asked to end.
    """
    _end_in_order()
    _write_whole()
    try:
        status = group.main(args=args, prog_name="restore", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"restore: {error.format_message().rstrip('.')}{_where_to_look(error)}", err=True)
        sys.exit(2)
    except RestoreError as error:
        click.echo(f"restore: {error}", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except BrokenPipeError:
        # The reader has gone: leave quietly, and keep Python from flushing into the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        click.echo(f"restore: {_about_system(error)}", err=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
