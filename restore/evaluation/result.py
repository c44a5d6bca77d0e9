"""The result of an evaluation: scores, signature and per-document counts; read, written and compared.

A result file is one JSON object:

    {"scores": {"comma_f1": {"value": 58.1, "low": 56.0, "high": 60.2}, ...},
     "signature": {"version": "0.1.0", "channel": "nltk-1c0ffee0", "engine": "fast", "data": "9f3c...", ...},
     "documents": 75,
     "confusion": {"title": {"lower": 31, ...}, ...},
     "counts": {"columns": [...], "rows": [[...], ...]}}

`counts` holds one row of numbers a document, so that two files can be compared document by document.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from restore.errors import InputError
from restore.evaluation.cases import CASES
from restore.evaluation.counts import COLUMNS
from restore.evaluation.scores import (
    RESAMPLES,
    Array,
    Comparison,
    Score,
    compare_rows,
    compute_scores,
    resample,
)

BAD_FILE = "{path}: not a result of `restore evaluate` ({why}); write one with `restore evaluate ... -o FILE`"
OTHER_DATA = "the results are of different {what} ({ours} and {theirs}); only results over the same data compare"
COMPARED = ("data", "scorer", "channel")


@dataclass(frozen=True)
class Result:
    """What an evaluation found.

    Attributes:
        scores: name to score; docs/evaluation.md defines each. Shares are in percent.
        documents: how many documents were scored.
        rows: counts, one row a document, in the order of `COLUMNS`.
        signature: all that shaped the scores.
    """

    scores: Mapping[str, Score]
    documents: int
    rows: Array = field(repr=False)
    signature: Mapping[str, Any] = field(default_factory=dict)

    @property
    def confusion(self) -> dict[str, dict[str, int]]:
        """How often a token of one case class (the original's) was written in another (the system's)."""
        sums = dict(zip(COLUMNS, self.rows.sum(axis=0), strict=True))
        return {ours: {theirs: int(sums[f"case.{ours}.{theirs}"]) for theirs in CASES} for ours in CASES}

    def to_json(self) -> str:
        """Return the result as JSON text; undefined scores are null."""
        head = {
            "scores": {name: _plain(asdict(score)) for name, score in self.scores.items()},
            "signature": self.signature,
            "documents": self.documents,
            "confusion": self.confusion,
        }
        used = [place for place in range(len(COLUMNS)) if self.rows[:, place].any()]
        counts = {
            "columns": [COLUMNS[place] for place in used],
            "rows": [[int(row[place]) for place in used] for row in self.rows],
        }
        text = json.dumps(head, indent=2, ensure_ascii=False, allow_nan=False)
        return text[:-2] + f',\n  "counts": {json.dumps(counts, separators=(",", ":"))}\n}}\n'


def _plain(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else round(value, 4) for name, value in numbers.items()}


def make_result(
    rows: Sequence[Array] | Array,
    signature: Mapping[str, Any],
    measures: Mapping[str, float] = MappingProxyType({}),
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Result:
    """Compute the scores of rows of counts, and add what was measured of the run itself (without intervals)."""
    matrix = np.array(rows, dtype=np.float64).reshape(-1, len(COLUMNS))
    scores = compute_scores(matrix, resample(len(matrix), resamples, seed))
    scores.update({name: Score(value, math.nan, math.nan) for name, value in measures.items()})
    return Result(scores, len(matrix), matrix, signature)


def read_result(path: Path) -> Result:
    """Read a result file.

    Raises:
        InputError: it cannot be read, or is no result.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(BAD_FILE.format(path=path, why=error.strerror or "unreadable")) from error
    except (ValueError, RecursionError) as error:
        raise InputError(BAD_FILE.format(path=path, why="not JSON")) from error
    try:
        places = [COLUMNS.index(name) for name in data["counts"]["columns"]]
        rows = np.zeros((len(data["counts"]["rows"]), len(COLUMNS)))
        if len(rows):
            rows[:, places] = data["counts"]["rows"]
        scores = {
            name: Score(*(math.nan if score[part] is None else score[part] for part in ("value", "low", "high")))
            for name, score in data["scores"].items()
        }
        return Result(scores, data["documents"], rows, dict(data["signature"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(BAD_FILE.format(path=path, why=f"no counts that this release knows: {error}")) from error


def compare(ours: Result, theirs: Result, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Comparison]:
    """Compare two results by a paired bootstrap test.

    Raises:
        InputError: they are not over the same documents, channel and scorer.
    """
    for what in COMPARED:
        left, right = ours.signature.get(what), theirs.signature.get(what)
        if left != right:
            raise InputError(OTHER_DATA.format(what=what, ours=left, theirs=right))
    if ours.documents != theirs.documents:
        raise InputError(OTHER_DATA.format(what="lengths", ours=ours.documents, theirs=theirs.documents))
    return compare_rows(ours.rows, theirs.rows, resample(ours.documents, resamples, seed))
