"""Fit curves and rules to judged decisions: the numbers behind `restore train calibration`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from restore.calibration import EDGE, LEAST_OFFER, POOL_EDGE, Curve, Rule, logit
from restore.decisions import INSERTED, KINDS
from restore.evaluation.decisions import Event

Array: TypeAlias = NDArray[np.float64]

Fitter: TypeAlias = Callable[[Array, Array, Array, Array], Curve]
"""From posteriors, the tagger's probabilities (NaN where there are none), 0 or 1 for each and weights to a curve."""

FOLDS = 5
CELL = 20
"""Events that are pooled at least before an isotonic curve is fitted, lest it follow single ones."""
FEWEST = 60
"""A kind with fewer events is given the curve of all that is inserted."""
BUDGETS = {"negation": 1.9, "direction": 1.9, "person": 3.8}
"""Flags for 100 restored words that are aimed at, those of words that were put in included."""


def fit_isotonic(posteriors: Array, tagged: Array, right: Array, weights: Array) -> Curve:
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
    cells = zip(
        np.add.reduceat(w * x, cuts).tolist(), np.add.reduceat(w * y, cuts).tolist(), total.tolist(), strict=True
    )
    blocks: list[list[float]] = []
    for cell in cells:
        blocks.append(list(cell))
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][2] >= blocks[-1][1] * blocks[-2][2]:
            top = blocks.pop()
            blocks[-1] = [below + above for below, above in zip(blocks[-1], top, strict=True)]
    points = {round(block[0] / block[2], 6): round(block[1] / block[2], 6) for block in blocks}
    return Curve("isotonic", tuple(points), tuple(points.values()))


def fit_platt(posteriors: Array, tagged: Array, right: Array, weights: Array) -> Curve:
    """Fit a logistic curve on the posterior's logit by Newton's method, with a touch of ridge."""
    clipped = np.clip(posteriors, EDGE, 1 - EDGE)
    rows = np.stack([np.ones_like(clipped), np.log(clipped / (1 - clipped))], axis=1)
    beta = fit_logistic(rows, right, weights)
    slope = round(max(0.0, float(beta[1])), 6)
    return Curve("platt", a=round(float(beta[0]), 6), b=slope, c=slope)


def fit_pool(posteriors: Array, tagged: Array, right: Array, weights: Array) -> Curve:
    """Fit a logistic curve on the logits of the posterior and of what the tagger holds; a slope below 0 is left out."""
    second = np.where(np.isnan(tagged), posteriors, tagged)
    columns = [np.ones_like(posteriors)]
    columns += [np.array([logit(chance, POOL_EDGE) for chance in chances.tolist()]) for chances in (posteriors, second)]
    a, b, c = _rising(columns, right, weights)
    return Curve("pool", a=a, b=b, c=c)


def fit_risen(posteriors: Array, tagged: Array, right: Array, weights: Array) -> Curve:
    """Fit a pool, then rising steps on what it says: its formula may be wrong at its ends."""
    pool = fit_pool(posteriors, tagged, right, weights)
    pairs = zip(posteriors.tolist(), tagged.tolist(), strict=True)
    said = np.array([pool(posterior, None if math.isnan(second) else second) for posterior, second in pairs])
    return replace(fit_isotonic(said, tagged, right, weights), method="risen", a=pool.a, b=pool.b, c=pool.c)


def fit_beta(posteriors: Array, tagged: Array, right: Array, weights: Array) -> Curve:
    """Fit a beta curve, a logistic one on the posterior's logarithm and its complement's; a slope below 0 is left out."""
    clipped = np.clip(posteriors, EDGE, 1 - EDGE)
    columns = [np.ones_like(clipped), np.log(clipped), -np.log(1 - clipped)]
    a, b, c = _rising(columns, right, weights)
    return Curve("beta", a=a, b=b, c=c)


def _rising(columns: Sequence[Array], right: Array, weights: Array) -> tuple[float, ...]:
    """Fit a logistic curve on a constant and two features, without those whose slopes would be below 0."""
    used = [0, 1, 2]
    while True:
        beta = fit_logistic(np.stack([columns[number] for number in used], axis=1), right, weights)
        below = [number for number, value in zip(used, beta, strict=True) if number and value < 0]
        if not below:
            break
        used.remove(below[0])
    fitted = dict(zip(used, (round(float(value), 6) for value in beta), strict=True))
    return tuple([fitted.get(number, 0.0) for number in range(3)])


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


def log_losses(curve: Curve, posteriors: Array, tagged: Array, right: Array) -> Array:
    """Return the log loss of each of a curve's probabilities, in nats."""
    pairs = zip(posteriors.tolist(), tagged.tolist(), strict=True)
    found = [curve(posterior, None if math.isnan(second) else second) for posterior, second in pairs]
    chances = np.clip(found, 1e-3, 1 - 1e-3)
    losses: Array = -np.where(right > 0, np.log(chances), np.log1p(-chances))
    return losses


def right_shares(documents: Sequence[Sequence[Event]], weights: Sequence[float]) -> dict[str, float]:
    """Return the share of right decisions of each kind: all that a constant predictor knows."""
    shares = {}
    for kind in KINDS:
        _, _, right, weight, _ = _table(documents, weights, (kind,))
        if weight.sum():
            shares[kind] = round(float((right * weight).sum() / weight.sum()), 6)
    return shares


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
) -> tuple[Array, Array, Array, Array, Array]:
    rows = [
        (event.posterior, math.nan if event.tagged is None else event.tagged, event.right, weight, number)
        for number, (events, weight) in enumerate(zip(documents, weights, strict=True))
        for event in events
        if event.kind in kinds
    ]
    posteriors, tagged, right, weight, number = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    return posteriors, tagged, right, weight, number


def _best(posteriors: Array, tagged: Array, right: Array, weights: Array, documents: Array) -> Curve:
    """Return the curve of the method that predicts documents it has not seen best.

    Steps must be better than the best formula by more than a standard error, as they have more to be wrong in (Breiman et al.
    1984, section 3.4.3).
    """
    formulas, steps = [fit_platt, fit_beta], [fit_isotonic]
    if not np.isnan(tagged).all():
        formulas.append(fit_pool)
        steps.append(fit_risen)
    losses = {fit: np.zeros_like(posteriors) for fit in (*formulas, *steps)}
    for fold in range(FOLDS):
        held = documents % FOLDS == fold
        if held.all() or not held.any():
            continue
        for fit, found in losses.items():
            curve = fit(posteriors[~held], tagged[~held], right[~held], weights[~held])
            found[held] = weights[held] * log_losses(curve, posteriors[held], tagged[held], right[held])
    formula, bent = (min(fits, key=lambda fit: losses[fit].sum()) for fits in (formulas, steps))
    gains = losses[formula] - losses[bent]
    better = gains.mean() > gains.std() / math.sqrt(len(gains))
    return (bent if better else formula)(posteriors, tagged, right, weights)


def _rule(posterior: Array, cue: Array, offer: Array, tagged: Array, wanted: Array, weight: Array) -> Rule:
    """Fit the weights of a rule; evidence that there is none of, or that would speak against itself, has none."""
    features = {
        "posterior_weight": np.array([logit(chance) for chance in posterior]),
        "cue_weight": cue,
        "offer_weight": np.array([logit(max(chance, LEAST_OFFER)) for chance in offer]),
        "tag_weight": np.array([logit(max(chance, LEAST_OFFER)) for chance in tagged]),
    }
    given = {"cue_weight": cue, "offer_weight": offer, "tag_weight": tagged}
    used = ["posterior_weight", *(name for name, evidence in given.items() if evidence.any())]
    while True:
        columns = [np.ones_like(cue), *(features[name] for name in used)]
        intercept, *fitted = fit_logistic(np.stack(columns, axis=1), wanted, weight).tolist()
        below = [name for name, value in zip(used, fitted, strict=True) if value < 0]
        if not below:
            break
        used.remove(below[0])
    weights = dict.fromkeys(features, 0.0) | dict(zip(used, fitted, strict=True))
    return Rule(round(intercept, 4), **{name: round(value, 4) for name, value in weights.items()})


class SenseGap(NamedTuple):
    """One gap and one kind of flag.

    Attributes:
        kind: the kind of flag.
        wanted: whether the original had a word of the kind there.
        posterior: the search's, of a word of the kind.
        cue: what the words around it say, in log odds.
        offer: the model's probability of such a word, given what is before it alone.
        put_in: whether the restored text has a word of the kind there.
        tagged: the tagger's probability of such a word.
    """

    kind: str
    wanted: bool
    posterior: float
    cue: float
    offer: float
    put_in: bool
    tagged: float = 0.0


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
            (gap.posterior, gap.cue, gap.offer, gap.tagged, gap.wanted, gap.put_in, weight)
            for gaps, weight in zip(documents, weights, strict=True)
            for gap in gaps
            if gap.kind == kind
        ]
        posterior, cue, offer, tagged, wanted, put_in, weight = np.array(table, dtype=np.float64).reshape(-1, 7).T
        if not wanted.any():
            continue
        rule = _rule(posterior, cue, offer, tagged, wanted, weight)
        chances = np.array([rule.chance(*gap) for gap in zip(posterior, cue, offer, tagged, strict=True)])
        allowed = budget * float(np.dot(words, weights)) / 100 - float(weight[put_in > 0].sum())
        free = np.argsort(-chances[put_in == 0], kind="stable")
        upto = np.searchsorted(np.cumsum(weight[put_in == 0][free]), allowed)
        threshold = float(chances[put_in == 0][free][upto]) + 1e-6 if upto < len(free) else 0.0
        rules[kind] = replace(rule, threshold=round(min(1.0, threshold), 6))
    return rules
