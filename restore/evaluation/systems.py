"""Systems: whatever turns stripped text into text and can be scored, engines and baselines alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Protocol

from restore.channel import Channel, get_channel

BASELINES = ("none", "rules")


class ReferenceScore(Protocol):
    """What an engine says of an original: whether its search failed, and what its lattice holds."""

    @property
    def output_score(self) -> float:
        """Log-probability of the engine's own output, in nats."""

    @property
    def reference_score(self) -> float | None:
        """Log-probability of the original, forced through the lattice; None if it is not in there."""

    @property
    def gaps_total(self) -> int:
        """Gaps of the original."""

    @property
    def gaps_reachable(self) -> int:
        """Gaps of the original whose content is in the lattice."""

    @property
    def tokens_total(self) -> int:
        """Kept tokens of the original."""

    @property
    def tokens_reachable(self) -> int:
        """Kept tokens of the original whose form is in the lattice."""


class System(Protocol):
    """Something that can be scored."""

    @property
    def name(self) -> str:
        """The system's name with its data's checksum, for the signature. Asking for it loads what is to be loaded."""

    def outputs(self, stripped: Iterable[str]) -> Iterator[str]:
        """Yield the system's text for each stripped text, in order."""

    def score_reference(self, stripped: str, original: str) -> ReferenceScore | None:
        """Return what the system says of an original; None if it has nothing to say."""


class Baseline:
    """A system that is a mere function of one stripped text."""

    def __init__(self, name: str, restore: Callable[[str], str]) -> None:
        self.name = name
        self._restore = restore

    def outputs(self, stripped: Iterable[str]) -> Iterator[str]:
        """Yield the function's value for each stripped text."""
        return map(self._restore, stripped)

    def score_reference(self, stripped: str, original: str) -> None:
        """A baseline has no lattice."""


class Engine:
    """An engine of restore."""

    def __init__(self, restorer: Any) -> None:
        self._restorer = restorer

    @property
    def name(self) -> str:
        """The engine's name with its data's checksum."""
        return str(self._restorer.engine)

    def outputs(self, stripped: Iterable[str]) -> Iterator[str]:
        """Yield the restored text for each stripped text."""
        return (restoration.text for restoration in self._restorer.restore_many(stripped))

    def score_reference(self, stripped: str, original: str) -> ReferenceScore | None:
        """Ask the restorer, if it can answer."""
        answer = getattr(self._restorer, "score_reference", None)
        found: ReferenceScore | None = answer(stripped, original) if answer else None
        return found


def rules(stripped: str, most_frequent: Callable[[str], str | None]) -> str:
    """Restore by rule alone: the most frequent form of each token, a capital first and a full stop last.

    >>> rules("u immigration official", {"u": "US"}.get)
    'US immigration official.'

    Args:
        stripped: the stripped text.
        most_frequent: a token's most frequent form; None where it is not known, and the token stands as it is.
    """
    words = [most_frequent(token) or token for token in stripped.split()]
    text = " ".join(words)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def most_frequent_form(channel: Channel) -> tuple[str, Callable[[str], str | None]]:
    """Return the lexicon's checksum, and the function from a token to the form it most often comes from.

    Raises:
        ResourceError: the lexicon is missing or damaged.
    """
    from restore.lexicon import default_lexicon

    lexicon = default_lexicon()

    @lru_cache(maxsize=1 << 16)
    def most_frequent(token: str) -> str | None:
        entries = [*lexicon.variants(token.lower()), *lexicon.preimage(channel.map, token)]
        fit = [entry for entry in entries if [kept.text for kept in channel.iterate(entry.form)] == [token]]
        return max(fit, key=lambda entry: entry.logprob).form if fit else None

    return lexicon.checksum, most_frequent


def make_system(
    engine: str, channel: str | Channel, model: str | os.PathLike[str] | None = None, **options: Any
) -> System:
    """Return the system of a name: `none`, `rules`, or an engine of restore.

    Args:
        engine: the name.
        channel: how the texts are stripped.
        model: a folder with a model in place of the engine's own.
        options: further options of `restore.Config`.

    Raises:
        RestoreError: no engine of that name, or its data are missing or damaged.
    """
    if engine == "none":
        return Baseline("none", lambda stripped: stripped)
    if engine == "rules":
        checksum, most_frequent = most_frequent_form(get_channel(channel))
        return Baseline(f"rules-{checksum}", lambda stripped: rules(stripped, most_frequent))
    from restore.config import Config
    from restore.restorer import Restorer

    return Engine(Restorer(Config(channel=channel, engine=engine, model=model, **{"repair": False, **options})))
