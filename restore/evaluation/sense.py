"""Sense warnings on text whose original is known: which turning words came back, which were flagged, at what cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from restore.channel import Channel
from restore.evaluation.reading import read
from restore.flags import WORDS, Flag, flag_words
from restore.restoration import Restoration
from restore.tags import PRONOUNS


@dataclass
class SenseCounts:
    """Counts over documents, by kind of flag.

    Attributes:
        words: words of the restored texts.
        wanted: words of the kind that the channel dropped from the originals.
        restored: those that stand in the same gap of the restored text, each counted once; any negation for a negation.
        flagged: those whose gap is flagged.
        either: those that are restored or flagged.
        near: those that are restored, or flagged in their gap or in the one before or after it: for a reader, the same words.
        flags: flags, right or wrong.
        genders: gaps in which original and restored text both have such a pronoun, by whom they speak of: "she as he" is a woman
            in the original that the restored text makes a man.
    """

    words: int = 0
    wanted: Counter[str] = field(default_factory=Counter)
    restored: Counter[str] = field(default_factory=Counter)
    flagged: Counter[str] = field(default_factory=Counter)
    either: Counter[str] = field(default_factory=Counter)
    near: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    genders: Counter[str] = field(default_factory=Counter)

    def add(self, original: str, restoration: Restoration, channel: Channel) -> None:
        """Count one document, which was restored without repair.

        Raises:
            ValueError: original and restored text do not strip to the same.
        """
        ours, theirs = read(original, channel), read(restoration.text, channel)
        if len(ours.gaps) != len(theirs.gaps):
            raise ValueError("original and restored text do not strip to the same")
        self.words += len(restoration.text.split())
        self.flags.update(flag.kind for flag in restoration.flags)
        places = _places(restoration.flags)
        for place, (gap, other) in enumerate(zip(ours.gaps, theirs.gaps, strict=True)):
            before, after = _genders(gap.words), _genders(other.words)
            if len(before) == len(after) == 1:
                self.genders[f"{before[0]} as {after[0]}"] += 1
            for kind in WORDS:
                wanted = [word for word in gap.words if word in flag_words()[kind]]
                if not wanted:
                    continue
                flagged = (kind, place) in places
                near = any((kind, place + step) in places for step in (-1, 0, 1))
                given = Counter("no" if kind == "negation" else word for word in other.words if word in flag_words()[kind])
                for word in wanted:
                    name = "no" if kind == "negation" else word
                    found = given[name] > 0
                    given[name] -= 1
                    self.wanted[kind] += 1
                    self.restored[kind] += found
                    self.flagged[kind] += flagged
                    self.either[kind] += found or flagged
                    self.near[kind] += found or near

    def to_dict(self) -> dict[str, dict[str, float | int | None]]:
        """Return shares and rates by kind: `restored`, `flagged`, `either`, `near` of the wanted, `per_100` flags a 100 words."""
        rows: dict[str, dict[str, float | int | None]] = {}
        for kind in sorted({*WORDS, *self.flags}):
            wanted = self.wanted[kind]
            shares = {"restored": self.restored, "flagged": self.flagged, "either": self.either, "near": self.near}
            rows[kind] = {
                "wanted": wanted,
                **{name: round(count[kind] / wanted, 4) if wanted else None for name, count in shares.items()},
                "flags": self.flags[kind],
                "per_100": round(100 * self.flags[kind] / self.words, 3) if self.words else None,
                "wanted_per_100": round(100 * wanted / self.words, 3) if self.words else None,
            }
        return rows


def _genders(words: Iterable[str]) -> list[str]:
    return [name for name, pronouns in PRONOUNS.items() if not pronouns.isdisjoint(words)]


def _places(flags: Iterable[Flag]) -> set[tuple[str, int]]:
    return {(flag.kind, flag.place) for flag in flags}
