"""Calibration: from a posterior as the search found it to the probability that the original had exactly this there.

Posteriors of a search are too sure of themselves, and differently so for words, marks and forms: its hypotheses are few and
alike. Where there is a tagger, what it holds of a decision by itself is a second witness. On text whose original
is known, each decision is right or wrong; a curve for each kind of decision (`restore.decisions.KINDS`) says how often
those of a posterior were right. A curve is one of

    isotonic   rising steps fitted by pooling adjacent violators (Ayer et al. 1955; Zadrozny and Elkan 2002), joined by
               straight lines between the steps' middles
    beta       1 / (1 + exp(-(a + b * ln(posterior) - c * ln(1 - posterior)))) (Kull, Silva Filho and Flach 2017)
    platt      the same with b = c (Platt 1999)
    pool       1 / (1 + exp(-(a + b * logit(posterior) + c * logit(tagged)))), a logarithmic pool of two witnesses (Genest
               and Zidek 1986; Satopää et al. 2014)
    risen      isotonic on what a pool says

whichever predicts best in cross-validation. The curves are a bundle with one JSON file, by engine and channel:

    {"fast": {"model": "fast:0123456789ab",
              "channels": {"nltk": {"word": {"method": "isotonic", "x": [0.01, 0.4, 1.0], "y": [0.02, 0.5, 0.9]},
                                    "joiner": {"method": "beta", "a": -0.3, "b": 0.8, "c": 0.5}, ...}, ...},
              "flags": {"negation": {"intercept": -1.2, "posterior_weight": 0.3, "cue_weight": 0.9,
                                     "threshold": 0.04}, ...}}, ...}

`restore train calibration` makes them. docs/confidence.md says how well they do.
"""

from __future__ import annotations

import json
import math
import os
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from restore.bundle import BAD_FILE, open_bundle
from restore.errors import ResourceError

FORMAT, VERSION = "restore-calibration", 1
FILE = "calibration.json"
CHANNEL = "nltk"
"""The channel whose curves serve those that have none of their own."""
LEAST_OFFER = 1e-3
"""What a model offers with less probability is taken to have this: it is not remembered."""
EDGE = 1e-6
"""Posteriors are kept so far from 0 and 1 before their logit is taken."""
POOL_EDGE = 1e-3
"""Likewise before they are pooled: what a small beam or a tagger is surer of than this is no surer."""


POOLED = ("pool", "risen")
FORMULAS, POINTS = ("platt", "beta", *POOLED), ("isotonic", "risen")
"""The curves that have a formula, and those that have points."""


@dataclass(frozen=True)
class Curve:
    """A rising curve from posteriors, and what a tagger holds, to probabilities: points with lines between, or a formula.

    >>> Curve("isotonic", (0.2, 0.6), (0.1, 0.5))(0.4)
    0.3
    >>> Curve("platt", a=0.0, b=1.0, c=1.0)(0.25)
    0.25
    """

    method: str
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    a: float = 0.0
    b: float = 1.0
    c: float = 1.0

    def __call__(self, posterior: float, tagged: float | None = None) -> float:
        """Return the probability for a posterior, and what the tagger holds if it says anything."""
        if self.method in POOLED:
            second = posterior if tagged is None else tagged
            pooled = _chance(self.a + self.b * logit(posterior, POOL_EDGE) + self.c * logit(second, POOL_EDGE))
            return self._between(pooled) if self.x else pooled
        if self.method in FORMULAS:
            chance = min(1 - EDGE, max(EDGE, posterior))
            return _chance(self.a + self.b * math.log(chance) - self.c * math.log(1 - chance))
        return self._between(posterior)

    def _between(self, chance: float) -> float:
        """Return the height of the points, and the lines between them, over a probability."""
        place = bisect_right(self.x, chance)
        if place == 0 or place == len(self.x):
            return self.y[max(0, place - 1)]
        left, right = self.x[place - 1], self.x[place]
        share = (chance - left) / (right - left)
        return round(self.y[place - 1] + share * (self.y[place] - self.y[place - 1]), 6)

    def to_dict(self) -> dict[str, Any]:
        """Return the curve as it stands in the file."""
        data: dict[str, Any] = {"method": self.method}
        if self.method in FORMULAS:
            data |= {"a": self.a, "b": self.b, "c": self.c}
        if self.method in POINTS:
            data |= {"x": list(self.x), "y": list(self.y)}
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Curve:
        """Read a curve.

        Raises:
            ValueError, KeyError, TypeError: it is not one.
        """
        method = data["method"]
        if method not in FORMULAS + POINTS:
            raise ValueError("no curve")
        a, b, c = (float(data[name]) for name in "abc") if method in FORMULAS else (0.0, 1.0, 1.0)
        x, y = (tuple(map(float, data[name])) for name in "xy") if method in POINTS else ((), ())
        curve = cls(method, x, y, a, b, c)
        if not (math.isfinite(curve.a) and 0 <= curve.b < math.inf and 0 <= curve.c < math.inf):
            raise ValueError("a curve that does not rise")
        if method not in POINTS:
            return curve
        if not curve.x or len(curve.x) != len(curve.y):
            raise ValueError("no curve")
        if not all(left < right for left, right in zip(curve.x, curve.x[1:], strict=False)):
            raise ValueError("a curve whose points are not in order")
        if not (curve.y[0] >= 0 and curve.y[-1] <= 1 and list(curve.y) == sorted(curve.y)):
            raise ValueError("a curve that does not rise from 0 to 1")
        return curve


def _chance(odds: float) -> float:
    """Return the probability of log odds, in nats."""
    return round(1 / (1 + math.exp(-max(-30.0, min(30.0, odds)))), 6)


def logit(chance: float, edge: float = EDGE) -> float:
    """Return the log odds of a probability, in nats, kept finite."""
    chance = min(1 - edge, max(edge, chance))
    return math.log(chance / (1 - chance))


@dataclass(frozen=True)
class Rule:
    """How probable it is that a word of one kind was dropped from a gap, and from where that is worth a warning.

        logit(probability) = intercept + posterior_weight * logit(posterior) + cue_weight * cue + offer_weight * logit(offer)
                             + tag_weight * logit(tagged)

    Attributes:
        intercept, posterior_weight, cue_weight, offer_weight, tag_weight: fitted with the curves.
        threshold: the probability from which a gap is flagged.
    """

    intercept: float = 0.0
    posterior_weight: float = 1.0
    cue_weight: float = 0.0
    offer_weight: float = 0.0
    tag_weight: float = 0.0
    threshold: float = 0.5

    def chance(self, posterior: float, cue: float = 0.0, offer: float = 0.0, tagged: float = 0.0) -> float:
        """Return the probability.

        Args:
            posterior: the search's, of any word of the kind in the gap.
            cue: what the words around it say, in log odds.
            offer: the model's, of any word of the kind, given what is before it alone.
            tagged: the tagger's, given the stripped text on both sides.
        """
        odds = self.intercept + self.posterior_weight * logit(posterior) + self.cue_weight * cue
        odds += self.offer_weight * logit(max(offer, LEAST_OFFER)) + self.tag_weight * logit(max(tagged, LEAST_OFFER))
        return _chance(odds)


@dataclass(frozen=True)
class Calibrator:
    """The curves for one engine and channel.

    Attributes:
        curves: by kind of decision; a kind without one keeps its posteriors.
        fitted: whether they were fitted to this very model and channel.
        rules: for `restore.flags`, by kind of flag.
    """

    curves: Mapping[str, Curve]
    fitted: bool = False
    rules: Mapping[str, Rule] = field(default_factory=dict)

    def __call__(self, kind: str, posterior: float, tagged: float | None = None) -> float:
        """Return the probability that the original had exactly this there."""
        curve = self.curves.get(kind)
        return posterior if curve is None else curve(posterior, tagged)


def read_calibration(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the curves of a bundle, by engine, as the file has them.

    Raises:
        ResourceError: it is missing, damaged, or of another version.
    """
    path = open_bundle(folder, FORMAT, VERSION).file(FILE)
    try:
        engines: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for engine in engines.values():
            engine["model"] + ""
            for curves in engine["channels"].values():
                for data in curves.values():
                    Curve.from_dict(data)
            for rule in engine.get("flags", {}).values():
                Rule(**{name: float(value) for name, value in rule.items()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ResourceError(BAD_FILE.format(path=path, why=f"no calibration ({error})")) from error
    return engines


def open_calibrator(folder: str | os.PathLike[str], model: str, channel: str) -> Calibrator:
    """Return the curves for a model and a channel; without any, posteriors stay as they are.

    Args:
        folder: the bundle.
        model: the model's name and checksum, such as `fast:0123456789ab`.
        channel: the channel's name; one without curves is given those of the usual recipe.

    Raises:
        ResourceError: the bundle is missing, damaged, or of another version.
    """
    engine = read_calibration(folder).get(model.partition(":")[0])
    if engine is None:
        return Calibrator({})
    channels = engine["channels"]
    curves = channels.get(channel, channels.get(CHANNEL, {}))
    fitted = engine["model"] == model and channel in channels
    rules = {kind: Rule(**rule) for kind, rule in engine.get("flags", {}).items()}
    return Calibrator({kind: Curve.from_dict(data) for kind, data in curves.items()}, fitted, rules)
