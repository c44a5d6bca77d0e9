"""Probabilities of what a search considered, and the reading that is best by them.

A search leaves a lattice of readings: hypotheses at each input token, and arcs between them, each a gap's content with
the form after it. Forward and backward sums over its paths (Rabiner 1989, section III) give the posterior of every
arc, on both sides' evidence. The chosen reading is a consensus (after Mangu, Brill and Stolcke 2000): the path with
the best sum, over its units, of each unit's posterior less the threshold from which it is worth having. For a score such
as F1, which forgives a wrong word less than a missing one is missed, that beats the likeliest path.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from restore.calibration import LEAST_OFFER
from restore.decoder import Decoder, Growth, Hypothesis, Offer, Step, Weights, steps_between
from restore.lattice.gaps import Insertion
from restore.opinion import Tagged

MOST_ALTERNATIVES = 8


class Arc(NamedTuple):
    """A way on from one hypothesis: what its gap held, and the form taken.

    Attributes:
        parent: the hypothesis in the gap, with its insertions; its origin is where the arc starts.
        growth: the form taken, or None at the end of the text.
        target: the hypothesis reached, or None if the beam dropped it.
    """

    parent: Hypothesis
    growth: Growth | None
    target: Hypothesis | None


class Stage(NamedTuple):
    """All the arcs from the hypotheses before one input token."""

    place: int
    nodes: list[Hypothesis]
    arcs: list[Arc]


@dataclass(frozen=True, slots=True)
class Choice:
    """What there was to choose from before and at one input token, with posteriors, the best first.

    Attributes:
        gaps: contents of the gap, as tuples of units.
        forms: forms of the token (or of the tokens that a joint form spans).
        spans: of those that stand for several tokens, for how many.
        units: each unit's posterior of being in the gap.
        offers: what the model offers to insert, taken or not: each unit's probability given the text before it alone,
            summed over the places in the gap as it was chosen.
        tagged: what the tagger by itself holds of the gap and the token, if there is one and the text goes on after the gap.
    """

    gaps: tuple[tuple[tuple[str, ...], float], ...]
    forms: tuple[tuple[str, float], ...]
    units: dict[str, float]
    offers: dict[str, float] = field(default_factory=dict)
    tagged: Tagged | None = None
    spans: dict[str, int] = field(default_factory=dict)


def consensus(stages: Sequence[Stage], ends: Sequence[Hypothesis], decoder: Decoder) -> tuple[list[Step], list[Choice]]:
    """Return the consensus reading of a lattice, and for each input token (and the end) what else there was.

    Args:
        stages: the lattice, in order.
        ends: the hypotheses that it ends in.
        decoder: makes the steps of chosen forms.
    """
    posteriors = _posteriors(stages, ends, decoder.weights.scale)
    best: dict[int, tuple[float, Arc | None, int]] = {id(node): (0.0, None, 0) for node in stages[0].nodes}
    choices: list[Choice] = []
    for number, (stage, chances) in enumerate(zip(stages, posteriors, strict=True)):
        choice, worths = _weigh(stage, chances, decoder.weights)
        choices.append(choice)
        for arc, worth in zip(stage.arcs, worths, strict=True):
            before = best.get(id(arc.parent.origin))
            if arc.target is None or before is None:
                continue
            total = before[0] + worth
            known = best.get(id(arc.target) if arc.growth is not None else -1)
            if known is None or total > known[0]:
                best[id(arc.target) if arc.growth is not None else -1] = (total, arc, number)
    return _trace(best, stages, ends, choices, decoder)


def best_path(ends: Sequence[Hypothesis]) -> list[Step]:
    """Return the likeliest path to the ends of a search, which needs no posteriors."""
    return steps_between(max(ends, key=lambda end: end.score).step, None)


def _trace(
    best: dict[int, tuple[float, Arc | None, int]],
    stages: Sequence[Stage],
    ends: Sequence[Hypothesis],
    choices: list[Choice],
    decoder: Decoder,
) -> tuple[list[Step], list[Choice]]:
    unreached: tuple[float, Arc | None, int] = (float("-inf"), None, 0)
    place = -1 if -1 in best else id(max(ends, key=lambda end: best.get(id(end), unreached)[0]))
    steps: list[list[Step]] = []
    chosen: list[Choice] = []
    while (arc := best[place][1]) is not None:
        origin = arc.parent.origin
        part = steps_between(arc.parent.step, origin.step)
        if arc.growth is not None:
            made = decoder.made(arc.growth).step
            assert made is not None
            part.append(made)
        steps.append(part)
        choice = replace(choices[best[place][2]], offers=offered(arc.parent.offer))
        chosen.extend([choice] * (1 if arc.growth is None else arc.growth.item.span))
        place = id(origin)
    return [step for part in reversed(steps) for step in part], chosen[::-1]


def _posteriors(stages: Sequence[Stage], ends: Sequence[Hypothesis], scale: float) -> list[list[float]]:
    """Return, for each stage, the posterior of each of its arcs.

    Those of one stage, and of the earlier arcs whose forms stand for its token too, sum to 1.
    """
    # Forward scores are those of the search, recomputed as sums over paths rather than the best path.
    forward: dict[int, float] = {id(node): 0.0 for node in stages[0].nodes}
    costs: list[list[float]] = []
    for stage in stages:
        row = []
        reached: dict[int, list[float]] = defaultdict(list)
        for arc in stage.arcs:
            origin = arc.parent.origin
            score = arc.parent.score if arc.growth is None else arc.growth.score
            cost = scale * (score - origin.score)
            row.append(cost)
            if arc.target is not None and arc.growth is not None:
                reached[id(arc.target)].append(forward.get(id(origin), -1e9) + cost)
        for key, values in reached.items():
            forward[key] = _log_sum(values + ([forward[key]] if key in forward else []))
        costs.append(row)
    backward: dict[int, float] = {id(end): 0.0 for end in ends}
    every: list[list[float]] = []
    for stage, row in zip(reversed(stages), reversed(costs), strict=True):
        # What the beam dropped is given the future of the best that it kept and that goes on from the same token.
        spare: dict[int, float] = {}
        for arc in stage.arcs:
            if arc.growth is not None and (known := backward.get(id(arc.target))) is not None:
                spare[arc.growth.item.span] = max(spare.get(arc.growth.item.span, known), known)
        leaving: dict[int, list[float]] = defaultdict(list)
        logs = []
        for arc, cost in zip(stage.arcs, row, strict=True):
            origin, future = arc.parent.origin, 0.0
            if arc.growth is not None:
                future = backward.get(id(arc.target), spare.get(arc.growth.item.span, -1e9))
            logs.append(forward.get(id(origin), -1e9) + cost + future)
            leaving[id(origin)].append(cost + future)
        for key, values in leaving.items():
            backward[key] = _log_sum(values)
        for node in stage.nodes:  # those from which nothing led on have no future; those that were never tried are not known to
            backward.setdefault(id(node), -1e9)
        every.append(logs)
    rows = []
    joint: list[tuple[int, float]] = []  # arcs of forms that stand for several tokens: where they end, and their mass
    for stage, logs in zip(stages, reversed(every), strict=True):
        joint = [(end, log) for end, log in joint if end > stage.place]
        total = _log_sum([*logs, *(log for _, log in joint)])
        rows.append([math.exp(log - total) for log in logs])
        for arc, log in zip(stage.arcs, logs, strict=True):
            if arc.growth is not None and arc.growth.item.span > 1:
                joint.append((stage.place + arc.growth.item.span, log))
    return rows


def _weigh(stage: Stage, chances: list[float], weights: Weights) -> tuple[Choice, list[float]]:
    """Return what there was to choose from in a stage, and the worth of each of its arcs."""
    # Many arcs take different forms after the same gap, so gaps are looked at once.
    parents: dict[int, Hypothesis] = {}
    shares: dict[int, float] = defaultdict(float)
    forms: dict[str, float] = defaultdict(float)
    spans: dict[str, int] = {}
    for arc, chance in zip(stage.arcs, chances, strict=True):
        parents[id(arc.parent)] = arc.parent
        shares[id(arc.parent)] += chance
        if arc.growth is not None:
            forms[arc.growth.item.text] += chance
            if arc.growth.item.span > 1:
                spans[arc.growth.item.text] = arc.growth.item.span
    gaps: dict[tuple[str, ...], float] = defaultdict(float)
    units: dict[str, float] = defaultdict(float)
    contents: dict[int, list[Step]] = {}
    for key, parent in parents.items():
        steps = contents[key] = steps_between(parent.step, parent.origin.step)
        content = tuple([step.text for step in steps])
        gaps[content] += shares[key]
        for unit in dict.fromkeys(content):  # in order, so that nothing depends on how texts are hashed
            units[unit] += shares[key]
    values = {key: sum([units[step.text] - _threshold(step, weights) for step in steps]) for key, steps in contents.items()}
    worths = []
    for arc, chance in zip(stage.arcs, chances, strict=True):
        worth = weights.path * math.log(max(chance, 1e-12)) + values[id(arc.parent)]
        if arc.growth is not None:  # a form that stands for several tokens is worth as much as one for each
            worth += forms[arc.growth.item.text] * arc.growth.item.span
        worths.append(worth)
    choice = Choice(
        tuple(sorted(gaps.items(), key=lambda pair: -pair[1])[:MOST_ALTERNATIVES]),
        tuple(sorted(forms.items(), key=lambda pair: -pair[1])[:MOST_ALTERNATIVES]),
        dict(units),
        spans=spans,
    )
    return choice, worths


def offered(last: Offer | None) -> dict[str, float]:
    """Return the probability of each unit that a model offers to insert in a gap, summed over its places.

    Units that begin alike share the probability of their beginning.

    Args:
        last: the gap's last place.
    """
    sums: dict[str, float] = defaultdict(float)
    while last is not None:
        for child, logprob in last.best:
            chance = math.exp(logprob)
            if chance < LEAST_OFFER:
                break
            texts = dict.fromkeys(item.text for item, _ in last.node.items[child])
            if (longer := last.node.next[child]) is not None:
                texts.update(dict.fromkeys(item.text for item, _ in longer.all()))
            for text in texts:
                sums[text] += chance / len(texts)
        last = last.before
    return dict(sums)


def _threshold(step: Step, weights: Weights) -> float:
    is_word = isinstance(step.what, Insertion) and step.what.kind == "word"
    return weights.word_threshold if is_word else weights.mark_threshold


def _log_sum(values: Sequence[float]) -> float:
    if len(values) == 1:
        return values[0]
    most = max(values)
    return most + math.log(sum([math.exp(value - most) for value in values]))
