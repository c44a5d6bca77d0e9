"""What it is worth that a word's letters are the initials of others in its text: the figures of `restore/initials.py`.

    python benchmarks/initials.py CORPUS_FILE... [--every N] [-o benchmarks/results/initials.json]

Each word that matches some run, once a document, by its best match; it is an initialism if the original has it in
capitals in most places. Logistic regression, with the word's share in capitals in the lexicon as a given: what is fitted is by
how much a match changes those odds.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from restore.channel import Channel, get_channel
from restore.channel.presets import stop_list
from restore.initials import Around, Match, may_be
from restore.lattice import FormFinder
from restore.lexicon import default_lexicon
from restore.training.documents import read_documents


def matched(original: str, channel: Channel) -> Iterator[tuple[str, Match, bool]]:
    """Yield each word of a document that has a match, its best match, and whether it is an initialism."""
    stop = stop_list("nltk")
    tokens = [token for token in channel.iterate(original) if token.text not in stop]
    around = Around([token.text for token in tokens])
    places: dict[str, list[int]] = defaultdict(list)
    for place, token in enumerate(tokens):
        if may_be(token.text):
            places[token.text].append(place)
    for word, uses in places.items():
        matches = around.matches(uses[0])
        if matches:
            upper = sum(original[tokens[use].start :].startswith(word.upper()) for use in uses)
            yield word, max(matches, key=lambda match: match.evidence), 2 * upper > len(uses)


def log_odds(word: str, finder: FormFinder) -> float:
    """Return the odds that a word is in capitals, by the lexicon alone, as a logarithm."""
    forms = finder.forms(word).single
    share = sum(math.exp(form.prior) for form in forms if form.text.startswith(word.upper()))
    share = min(max(share, 5e-4), 1 - 5e-4)
    return math.log(share / (1 - share))


def fitted(rows: np.ndarray, truth: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return the weights of a logistic regression, by Newton's method."""
    weights = np.zeros(rows.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(rows @ weights + given, -30, 30)))
        curve = (rows * (chance * (1 - chance))[:, None]).T @ rows + 1e-3 * np.eye(len(weights))
        weights += np.linalg.solve(curve, rows.T @ (truth - chance) - 1e-3 * weights)
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--every", type=int, default=4, help="take one document in so many")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    channel = get_channel("nltk")
    finder = FormFinder(channel, default_lexicon())
    rows, truth, given, documents = [], [], [], 0
    for path in options.files:
        for original in islice(read_documents(path), 0, None, options.every):
            documents += 1
            for word, match, upper in matched(original, channel):
                rows.append((1.0, match.surprise, match.again, match.beside, math.log(match.uses)))
                truth.append(upper)
                given.append(log_odds(word, finder))
    table, right, odds = np.array(rows, float), np.array(truth, float), np.array(given)
    weights = fitted(table, right, odds)
    now = odds + table @ weights
    report = {
        "documents": documents,
        "words with a match": len(right),
        "of them initialisms": int(right.sum()),
        "weights": dict(zip(["base", "surprise", "again", "beside", "uses"], weights.round(2).tolist(), strict=True)),
        "right by the lexicon alone": float(np.mean((odds > 0) == (right > 0))),
        "right with the match": float(np.mean((now > 0) == (right > 0))),
        "wrongly in capitals, lexicon alone": int(np.sum((odds > 0) & (right == 0))),
        "wrongly in capitals, with the match": int(np.sum((now > 0) & (right == 0))),
        "missed, lexicon alone": int(np.sum((odds <= 0) & (right > 0))),
        "missed, with the match": int(np.sum((now <= 0) & (right > 0))),
    }
    print(json.dumps(report, indent=2))
    if options.out:
        options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
