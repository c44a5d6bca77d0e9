"""The errors that restore raises on purpose, each with a message fit to print."""

from __future__ import annotations


class RestoreError(Exception):
    """Something about the data is wrong. The message says what, where, and what to do."""


class ResourceError(RestoreError):
    """A model or data file is missing, damaged, or of another version."""


class ChannelError(RestoreError):
    """A channel is unknown, or its definition contradicts itself."""


class InputError(RestoreError):
    """The text to restore, or the file that holds it, cannot be used."""
