"""Every option of a restoration, with its reason, in one place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from restore.channel import Channel
from restore.errors import RestoreError
from restore.style import Style

AUTO = "auto"
ENGINES = (AUTO, "fast", "neural")

PRESETS = {"conservative": 0.5, "fluent": 0.0}
"""Named values of `min_confidence`, points of the risk-coverage curve in docs/confidence.md: only what is more likely right
than wrong; and all that was chosen."""


@dataclass(frozen=True)
class Config:
    """How to restore. Immutable; two restorers of equal configs give equal results.

    Attributes:
        channel: how the text was stripped: a preset's name, a TOML file, a `Channel`, or `auto` to tell it from the
            text. A wrong channel gives wrong forms, so
            say it when the text is not the usual NLTK recipe's.
        engine: `fast` is the n-gram model, which starts at once; `neural` is the transformer, which guesses far better;
            `auto` takes the best engine that is installed, or the one that the environment variable RESTORE_ENGINE names.
        model: a folder with a model made by `restore train`, or a causal model of Hugging Face's transformers, in place of the
            one that comes with restore.
        repair: whether typos and glued words of the input may be mended first, on strong evidence; each is listed.
        terms: names and words as the user wants them written, such as `ICE`, `CAIR Coalition` or `non-citizen`.
        style: matters of taste: US or U.S., straight or curly quotes, dashes, the serial comma.
        min_confidence: what is inserted with less confidence is left out where the text stays sound without it, and
            flagged as uncertain where it does not. 0 shows all that was chosen. See `PRESETS`.
        confidence: whether to weigh all that the search considered. Without it the text is the likeliest one instead of
            the best on the whole, and there are no confidences, alternatives or warnings but for what was put in.
        calibration: whether confidences are calibrated; else they are the search's own posteriors, too sure of themselves.
        beam: how many hypotheses the search keeps at each input token. Wider is slower, and better until it levels off.
            None is what was chosen for the engine.

    Raises:
        RestoreError: an option is out of its range.
    """

    channel: str | Channel = "nltk"
    engine: str = "auto"
    model: str | os.PathLike[str] | None = None
    beam: int | None = None
    repair: bool = True
    terms: Sequence[str] = ()
    style: Style = Style()  # noqa: RUF009 (frozen)
    min_confidence: float = 0.0
    confidence: bool = True
    calibration: bool = True

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise RestoreError(f"engine {self.engine!r} is unknown; choose one of {', '.join(ENGINES)}")
        if isinstance(self.terms, str):
            raise RestoreError(f"terms {self.terms!r} is one string; give a sequence of strings")
        object.__setattr__(self, "terms", tuple(self.terms))
        if not isinstance(self.style, Style):
            raise RestoreError(f"style {self.style!r} is no style; give restore.Style(quotes='curly'), or other fields of it")
        if self.beam is not None and not 1 <= self.beam <= 256:
            raise RestoreError(f"beam {self.beam} is out of range; choose 1 to 256")
        if not 0 <= self.min_confidence <= 1:
            raise RestoreError(f"min_confidence {self.min_confidence} is out of range; choose 0 to 1")
        if self.min_confidence and not self.confidence:
            raise RestoreError("min_confidence needs confidences; leave `confidence` on")
