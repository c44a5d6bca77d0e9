"""Make the calibration: curves from posteriors to probabilities, fitted to text whose original is known.

Documents are stripped and restored, each decision is judged by the scorer's alignment, and each kind of decision gets
the curve (of those in `restore.calibration`) that predicts best in cross-validation over documents. The rules of sense warnings
(`restore.flags`) are fitted to the same documents.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from restore.bundle import CARD, Bundle, write_bundle
from restore.calibration import FILE, FORMAT, VERSION, Rule, read_calibration
from restore.channel import Channel
from restore.errors import InputError
from restore.evaluation.decisions import Event, judge
from restore.evaluation.documents import NO_DOCUMENTS, select
from restore.evaluation.reading import read
from restore.flags import FlagFinder, flag_words
from restore.training.documents import read_documents, stem
from restore.training.fitting import SenseGap, fit_curves, fit_rules, right_shares

if TYPE_CHECKING:
    from restore.restoration import Restoration

ABOUT = (
    "Curves from a search's posteriors to probabilities, by engine, channel and kind of decision; "
    "rules of sense warnings by engine."
)


USUAL = "nltk"
"""The channel whose rules of warnings stand for all: those of another only fill in what it lacks."""


class Fit(NamedTuple):
    """A document to fit to: its judged decisions, its gaps for sense warnings, and how many words its text has."""

    events: list[Event]
    gaps: list[SenseGap]
    words: int


def sense_gaps(original: str, result: Restoration, finder: FlagFinder, channel: Channel) -> Iterator[SenseGap]:
    """Yield a document's gaps for each kind of flag that the channel calls for."""
    words = flag_words()
    odds = finder.log_odds(result.source.lower().split())
    gaps, given = read(original, channel).gaps, read(result.text, channel).gaps
    for place, (gap, other, choice) in enumerate(zip(gaps, given, result.choices, strict=True)):
        offers, tagged = finder.offers(choice), finder.tagged(choice)
        for kind, posterior in finder.posteriors(choice).items():
            wanted, put_in = (any(word in words[kind] for word in side.words) for side in (gap, other))
            cue = odds[kind][place] if kind in odds else 0.0
            yield SenseGap(kind, wanted, posterior, cue, offers[kind], put_in, tagged[kind])


def first_words(text: str, words: int | None) -> str:
    """Return the first paragraphs of a document, until they have so many words."""
    if words is None:
        return text
    kept: list[str] = []
    for paragraph in text.split("\n"):
        kept.append(paragraph)
        words -= len(paragraph.split())
        if words <= 0:
            break
    return "\n".join(kept)


def judged_document(original: str, result: Restoration, finder: FlagFinder, channel: Channel) -> Fit:
    """Judge a restoration without calibration against its original."""
    events = [
        Event(decision.kind, decision.posterior, right, decision.tagged)
        for decision, right in judge(original, result.text, result.decisions, channel)
        if decision.posterior is not None
    ]
    return Fit(events, list(sense_gaps(original, result, finder, channel)), len(result.text.split()))


def judged(
    files: Sequence[Path], channel: str, engine: str, model: Path | None, half: str, words: Mapping[str, int]
) -> Iterator[tuple[Path, Fit]]:
    """Strip and restore documents, and yield each with what is to be fitted to."""
    from restore.restorer import Restorer

    restorer = Restorer(channel=channel, engine=engine, model=model, repair=False, calibration=False)
    for path in files:
        for document in select(read_documents(path), half):
            original = first_words(document, words.get(stem(path)))
            result = restorer.restore(restorer.channel.strip(original))
            if not result.choices:  # nothing was left of it
                continue
            yield path, judged_document(original, result, restorer.flag_finder, restorer.channel)


def train_calibration(
    files: Sequence[Path],
    out: str | os.PathLike[str],
    *,
    engine: str = "fast",
    model: Path | None = None,
    channels: Sequence[str] = ("nltk",),
    half: str = "odd",
    words: Mapping[str, int] | None = None,
    weights: Mapping[str, float] | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> Bundle:
    """Fit an engine's curves; those of other engines and channels in the bundle stay.

    Args:
        files: original texts, documents closed by a line %%%.
        out: the bundle's folder.
        engine: the engine.
        model: a model's folder in place of the engine's own.
        channels: the channels to fit curves for.
        half: which documents of each file to fit to: `odd`, `even` or `all`.
        words: by a file's name without suffix, take the first paragraphs of its documents only, up to so many words.
        weights: likewise how much the documents of a file count; 1 if not named.
        progress: called with a channel's name and the number of its documents done.

    Raises:
        InputError: a file cannot be read, or there are no documents.
        ResourceError: the model, or the bundle that is there, is damaged.
    """
    from restore.restorer import Restorer

    if (Path(out) / CARD).exists():
        read_calibration(out)  # what stands there in its place is found before the work
    name = Restorer(engine=engine, model=model, calibration=False).engine
    fitted: dict[str, dict[str, Any]] = {}
    rules: dict[str, Rule] = {}
    given: dict[str, Any] = {"half": half, "words": dict(words or {}), "weights": dict(weights or {})}
    made: dict[str, Any] = {}
    for channel in channels:
        documents: list[Fit] = []
        shares: list[float] = []
        for path, document in judged(files, channel, engine, model, half, words or {}):
            documents.append(document)
            shares.append((weights or {}).get(stem(path), 1.0))
            if progress is not None:
                progress(channel, len(documents))
        if not documents:
            raise InputError(NO_DOCUMENTS.format(files=", ".join(map(str, files))))
        fitted[channel] = fitted_curves([document.events for document in documents], shares)
        sizes = [document.words for document in documents]
        # Where a kind is dropped by several channels, the first of them decides.
        rules = {**fit_rules([document.gaps for document in documents], sizes, shares), **rules}
        made[channel] = {**given, "documents": len(documents)}
    return write_calibration(out, name, fitted, rules, made)


def fitted_curves(documents: Sequence[Sequence[Event]], weights: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Fit the curves of one channel, as they stand in the file; `right` is the share that was right."""
    shares = right_shares(documents, weights)
    curves = fit_curves(documents, weights)
    return {kind: {**curve.to_dict(), "right": shares.get(kind)} for kind, curve in curves.items()}


def write_calibration(
    out: str | os.PathLike[str],
    model: str,
    fitted: Mapping[str, Mapping[str, Any]],
    rules: Mapping[str, Rule],
    made: Mapping[str, Any],
) -> Bundle:
    """Write an engine's curves and rules into a bundle, beside those that it holds of other engines.

    Args:
        out: the bundle's folder.
        model: the model's name and checksum.
        fitted: curves as plain data, by channel and kind.
        rules: by kind of flag.
        made: how they were made, by channel, for the card.
    """
    engines: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    if (Path(out) / CARD).exists():
        engines = read_calibration(out)
        notes = json.loads((Path(out) / CARD).read_text(encoding="utf-8")).get("made", {})
    engine = model.partition(":")[0]
    known = engines.get(engine, {})
    if known and known["model"] != model:
        known = {}
    flags, new = known.get("flags", {}), {kind: asdict(rule) for kind, rule in rules.items()}
    engines[engine] = {
        "model": model,
        "channels": {**known.get("channels", {}), **fitted},
        "flags": {**flags, **new} if USUAL in fitted else {**new, **flags},
    }
    notes[engine] = {**(notes.get(engine, {}) if known else {}), **made}
    text = json.dumps(engines, indent=1, sort_keys=True) + "\n"
    card = {"about": ABOUT, "command": "restore train calibration", "made": notes}
    return write_bundle(out, FORMAT, VERSION, {FILE: lambda path: _write(path, text)}, card)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
