"""The one command, `restore`, with its subcommands, one a module."""

from restore.cli.main import main

__all__ = ["main"]
