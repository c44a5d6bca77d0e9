"""Sense warnings (being written)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Flag:
    """A place where what was dropped, or put in, may turn the sense.

    Attributes:
        kind: `negation`, `direction`, `person`, `quotation` or `uncertain`.
        place: the number of the input token that it stands before: its choice.
        start, end: the place in the text, in characters: the word that was put in, or the white space where one may
            have been.
        message: what to look out for, for a reader.
        alternatives: what may have stood there, the most probable first.
        probability: how probable it is that the original had a word of this kind here.
    """

    kind: str
    place: int
    start: int
    end: int
    message: str
    alternatives: tuple[str, ...] = ()
    probability: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the flag as plain data."""
        return asdict(self)
