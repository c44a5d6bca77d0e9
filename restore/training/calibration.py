"""Make the calibration: curves from posteriors to probabilities, fitted to text whose original is known.

Documents are stripped and restored, each decision is judged by the scorer's alignment, and each kind of decision gets
the curve (isotonic or Platt) that predicts better in cross-validation over documents.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from restore.bundle import Bundle, write_bundle
from restore.calibration import EDGE, FILE, FORMAT, VERSION, Curve, Rule, logit, read_calibration
from restore.channel import Channel, get_channel
from restore.decisions import INSERTED, KINDS
from restore.errors import InputError, ResourceError
from restore.evaluation.decisions import Event, judge
from restore.evaluation.documents import NO_DOCUMENTS, select
from restore.evaluation.reading import read
from restore.flags import FlagFinder, flag_words
from restore.training.documents import read_documents

if TYPE_CHECKING:
    from restore.restoration import Restoration

Array: TypeAlias = NDArray[np.float64]

FOLDS = 5
CELL = 20
"""Events that are pooled at least before an isotonic curve is fitted, lest it follow single ones."""
BUDGETS = {"negation": 1.9, "direction": 1.9, "person": 3.8}
"""Flags for 100 restored words that are aimed at, those of words that were put in included."""
FEWEST = 60
"""A kind with fewer events is given the curve of all that is inserted."""

ABOUT = "Curves from a search's posteriors to probabilities, by engine, channel and kind of decision."


def fit_isotonic(posteriors: Array, right: Array, weights: Array) -> Curve:
    """Fit rising steps by pooling adjacent violators, weighted, and join their middles."""
    order = np.argsort(posteriors, kind="stable")
    x, y, w = posteriors[order], right[order], weights[order]
    ends = np.flatnonzero(np.diff(x) > 0) + 1  # equal posteriors stay together
    cuts, last = [0], 0
    for end in ends.tolist():
        if end - last >= CELL and len(x) - end >= CELL:
            cuts.append(end)
            last = end
    total = np.add.reduceat(w, cuts)
    cells = zip(np.add.reduceat(w * x, cuts).tolist(), np.add.reduceat(w * y, cuts).tolist(), total.tolist(), strict=True)
    blocks: list[list[float]] = []
    for cell in cells:
        blocks.append(list(cell))
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][2] >= blocks[-1][1] * blocks[-2][2]:
            top = blocks.pop()
            blocks[-1] = [below + above for below, above in zip(blocks[-1], top, strict=True)]
    points = {round(block[0] / block[2], 6): round(block[1] / block[2], 6) for block in blocks}
    return Curve("isotonic", tuple(points), tuple(points.values()))


def fit_platt(posteriors: Array, right: Array, weights: Array) -> Curve:
    """Fit a logistic curve on the posterior's logit by Newton's method, with a touch of ridge."""
    clipped = np.clip(posteriors, EDGE, 1 - EDGE)
    rows = np.stack([np.ones_like(clipped), np.log(clipped / (1 - clipped))], axis=1)
    beta = fit_logistic(rows, right, weights)
    return Curve("platt", a=round(float(beta[0]), 6), b=round(max(0.0, float(beta[1])), 6))


def fit_logistic(rows: Array, right: Array, weights: Array, ridge: float = 1e-3, steps: int = 50) -> Array:
    """Return the weights of a logistic regression, by Newton's method.

    Args:
        rows: features, one row an event; a constant one among them.
        right: 0 or 1 for each event.
        weights: how much each event counts.
        ridge: the penalty on squared weights.
        steps: iterations at most.
    """
    beta = np.zeros(rows.shape[1])
    for _ in range(steps):
        chances = 1 / (1 + np.exp(-np.clip(rows @ beta, -30, 30)))
        slope = rows.T @ (weights * (right - chances)) - ridge * beta
        bend = (rows * (weights * chances * (1 - chances))[:, None]).T @ rows + ridge * np.eye(rows.shape[1])
        move = np.linalg.solve(bend, slope)
        beta = beta + np.clip(move, -4, 4)
        if np.abs(move).max() < 1e-8:
            break
    return beta


def log_loss(curve: Curve, posteriors: Array, right: Array, weights: Array) -> float:
    """Return the mean log loss of a curve's probabilities, in nats."""
    chances = np.clip([curve(posterior) for posterior in posteriors.tolist()], 1e-3, 1 - 1e-3)
    losses = -np.where(right > 0, np.log(chances), np.log1p(-chances))
    return float((weights * losses).sum() / weights.sum())


def fit_curves(documents: Sequence[Sequence[Event]], weights: Sequence[float]) -> dict[str, Curve]:
    """Fit a curve for each kind of decision.

    Args:
        documents: each document's decisions, judged.
        weights: how much each document's decisions count.
    """
    pooled = _table(documents, weights, INSERTED)
    curves = {}
    for kind in KINDS:
        table = _table(documents, weights, (kind,))
        if len(table[0]) < FEWEST and kind in INSERTED:
            table = pooled
        if len(table[0]) >= FEWEST:
            curves[kind] = _best(*table)
    return curves


def _table(
    documents: Sequence[Sequence[Event]], weights: Sequence[float], kinds: Sequence[str]
) -> tuple[Array, Array, Array, Array]:
    rows = [
        (event.posterior, event.right, weight, number)
        for number, (events, weight) in enumerate(zip(documents, weights, strict=True))
        for event in events
        if event.kind in kinds
    ]
    posteriors, right, weight, number = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return posteriors, right, weight, number


def _best(posteriors: Array, right: Array, weights: Array, documents: Array) -> Curve:
    """Return the curve of the method that predicts documents it has not seen better."""
    losses = {fit_isotonic: 0.0, fit_platt: 0.0}
    for fold in range(FOLDS):
        held = documents % FOLDS == fold
        if held.all() or not held.any():
            continue
        for fit in losses:
            curve = fit(posteriors[~held], right[~held], weights[~held])
            losses[fit] += log_loss(curve, posteriors[held], right[held], weights[held]) * weights[held].sum()
    return min(losses, key=lambda fit: losses[fit])(posteriors, right, weights)


class SenseGap(NamedTuple):
    """One gap and one kind of flag.

    Attributes:
        kind: the kind of flag.
        wanted: whether the original had a word of the kind there.
        posterior: the search's, of a word of the kind.
        cue: what the words around it say of a dropped negation, in log odds.
        put_in: whether the restored text has a word of the kind there.
    """

    kind: str
    wanted: bool
    posterior: float
    cue: float
    put_in: bool


def sense_gaps(original: str, result: Restoration, finder: FlagFinder, channel: Channel) -> Iterator[SenseGap]:
    """Yield a document's gaps for each kind of flag that the channel calls for."""
    words = flag_words()
    odds = finder.log_odds(result.source.lower().split())
    gaps, given = read(original, channel).gaps, read(result.text, channel).gaps
    for place, (gap, other, choice) in enumerate(zip(gaps, given, result.choices, strict=True)):
        for kind, posterior in finder.posteriors(choice).items():
            wanted, put_in = (any(word in words[kind] for word in side.words) for side in (gap, other))
            yield SenseGap(kind, wanted, posterior, odds[place] if odds and kind == "negation" else 0.0, put_in)


def fit_rules(
    documents: Sequence[Sequence[SenseGap]], words: Sequence[int], weights: Sequence[float]
) -> dict[str, Rule]:
    """Fit how probable words of each kind are, and choose from where they are flagged: as often as `BUDGETS` allow.

    Args:
        documents: each document's gaps.
        words: how many words each restored document has.
        weights: how much each document counts.
    """
    rules = {}
    for kind, budget in BUDGETS.items():
        table = [
            (logit(gap.posterior), gap.cue, gap.wanted, gap.put_in, weight)
            for gaps, weight in zip(documents, weights, strict=True)
            for gap in gaps
            if gap.kind == kind
        ]
        if not any(row[2] for row in table):
            continue
        posterior, cue, wanted, put_in, weight = np.array(table, dtype=np.float64).T
        columns = [np.ones_like(posterior), posterior, *([cue] if cue.any() else [])]
        beta = [*fit_logistic(np.stack(columns, axis=1), wanted, weight).tolist(), 0.0][:3]
        rule = Rule(*(round(value, 4) for value in beta))
        chances = np.array([rule.chance(1 / (1 + math.exp(-p)), c) for p, c in zip(posterior, cue, strict=True)])
        allowed = budget * float(np.dot(words, weights)) / 100 - float(weight[put_in > 0].sum())
        free = np.argsort(-chances[put_in == 0], kind="stable")
        upto = np.searchsorted(np.cumsum(weight[put_in == 0][free]), allowed)
        threshold = float(chances[put_in == 0][free][upto]) + 1e-6 if upto < len(free) else 0.0
        rules[kind] = replace(rule, threshold=round(min(1.0, threshold), 6))
    return rules


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


def judged(
    files: Sequence[Path], channel: str, engine: str, model: Path | None, half: str, words: int | None
) -> Iterator[tuple[Path, list[Event]]]:
    """Strip and restore documents, and yield each with its decisions judged."""
    from restore.restorer import Restorer

    restorer = Restorer(channel=channel, engine=engine, model=model, repair=False, calibration=False)
    way = get_channel(channel)
    for path in files:
        for document in select(read_documents(path), half):
            original = first_words(document, words)
            result = restorer.restore(way.strip(original))
            events = [
                Event(decision.kind, decision.posterior, right)
                for decision, right in judge(original, result.text, result.decisions, way)
                if decision.posterior is not None
            ]
            yield path, events


def train_calibration(
    files: Sequence[Path],
    out: str | os.PathLike[str],
    *,
    engine: str = "fast",
    model: Path | None = None,
    channels: Sequence[str] = ("nltk",),
    half: str = "odd",
    words: int | None = None,
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
        words: take the first paragraphs of each document only, up to so many words.
        weights: how much the documents of a file count, by the file's name without suffix; 1 if not named.
        progress: called with a channel's name and the number of its documents done.

    Raises:
        InputError: a file cannot be read, or there are no documents.
        ResourceError: the model, or the bundle that is there, is damaged.
    """
    from restore.restorer import Restorer

    name = Restorer(engine=engine, model=model, calibration=False).engine
    fitted: dict[str, dict[str, Any]] = {}
    counts: dict[str, int] = {}
    for channel in channels:
        documents: list[list[Event]] = []
        shares: list[float] = []
        for path, events in judged(files, channel, engine, model, half, words):
            documents.append(events)
            shares.append((weights or {}).get(path.name.partition(".")[0], 1.0))
            if progress is not None:
                progress(channel, len(documents))
        if not documents:
            raise InputError(NO_DOCUMENTS.format(files=", ".join(map(str, files))))
        curves = fit_curves(documents, shares)
        fitted[channel] = {kind: curve.to_dict() for kind, curve in curves.items()}
        counts[channel] = len(documents)
    return write_calibration(out, name, fitted, {"half": half, "words": words, "weights": dict(weights or {}), "documents": counts})


def write_calibration(
    out: str | os.PathLike[str], model: str, fitted: Mapping[str, Mapping[str, Any]], made: Mapping[str, Any]
) -> Bundle:
    """Write an engine's curves into a bundle, beside those that it holds of other engines.

    Args:
        out: the bundle's folder.
        model: the model's name and checksum.
        fitted: curves as plain data, by channel and kind.
        made: how they were made, for the card.
    """
    engines: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    if (Path(out) / "card.json").exists():
        engines = read_calibration(out)
        notes = json.loads((Path(out) / "card.json").read_text(encoding="utf-8")).get("made", {})
    engine = model.partition(":")[0]
    known = engines.get(engine, {})
    if known and known["model"] != model:
        known = {}
    engines[engine] = {"model": model, "channels": {**known.get("channels", {}), **fitted}}
    notes[engine] = {**made}
    text = json.dumps(engines, indent=1, sort_keys=True) + "\n"
    card = {"about": ABOUT, "command": "restore train calibration", "made": notes}
    return write_bundle(out, FORMAT, VERSION, {FILE: lambda path: _write(path, text)}, card)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
