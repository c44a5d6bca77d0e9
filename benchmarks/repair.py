"""How repair does: on clean text, and on text that was damaged on purpose.

    python benchmarks/repair.py DEV_FILE... --half even -o benchmarks/results/repair.json [--limit N]

Clean: how many tokens are touched. Typos: one in fifty content words (letters only, more than three) is hit by one
random edit (a letter lost, added, changed, or swapped with the next); right is what the channel made of the original.
Damage that gives a real word of five letters or more is counted apart: nothing can tell it from the word. Glued: one in
fifty neighbouring pairs loses its space.
"""

from __future__ import annotations

import argparse
import json
import random
import string
from collections import Counter
from pathlib import Path

from restore import Restorer
from restore.source import read_source
from restore.training.documents import read_documents

RATE = 1 / 50


def edited(word: str, chance: random.Random) -> str:
    place = chance.randrange(len(word))
    letter = chance.choice(string.ascii_lowercase)
    kind = chance.randrange(4)
    if kind == 0:
        return word[:place] + word[place + 1 :]
    if kind == 1:
        return word[:place] + letter + word[place:]
    if kind == 2:
        return word[:place] + letter + word[place + 1 :]
    return word[:place] + word[place + 1 : place + 2] + word[place : place + 1] + word[place + 2 :]


def repairs_of(restorer: Restorer, words: list[str]) -> dict[int, str]:
    """Return what each repaired word became, by its place in the text in characters."""
    text = " ".join(words)
    found: list = []
    for _ in restorer._repairer.repair(read_source(text, restorer.channel), found, text):
        pass
    return {repair.source_start: repair.after for repair in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--half", choices=["odd", "even"], default="even")
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    restorer = Restorer(engine="fast")
    restorer.restore("official said")
    chance = random.Random(0)
    counts: Counter[str] = Counter()
    touched = []
    for path in options.files:
        chosen = [text for n, text in enumerate(read_documents(path), 1) if (n % 2 == 0) == (options.half == "even")]
        for original in chosen[: options.limit]:
            words = restorer.channel.strip(original).split()
            clean = repairs_of(restorer, words)
            counts["clean tokens"] += len(words)
            counts["clean touched"] += len(clean)
            touched += clean.values()
            damaged, hits, place = [], {}, 0
            for word in words:
                new = word
                if word.isalpha() and len(word) > 3 and chance.random() < RATE:
                    new = edited(word, chance)
                    if new != word:
                        hits[place] = (word, new)
                damaged.append(new)
                place += len(new) + 1
            found = repairs_of(restorer, damaged)
            for start, (word, new) in hits.items():
                token = next(iter(read_source(new, restorer.channel)))
                real = not restorer._repairer.is_suspect(token) and len(new) >= 5
                counts["typos that are real words" if real else "typos"] += 1
                counts["typos mended"] += found.get(start) == word
                counts["typos mended wrongly"] += start in found and found[start] != word
            glued, pairs, place, number = [], {}, 0, 0
            while number < len(words):
                word = words[number]
                following = words[number + 1] if number + 1 < len(words) else ""
                number += 1
                if word.isalpha() and following.isalpha() and chance.random() < RATE:
                    pairs[place] = f"{word} {following}"
                    word += following
                    number += 1
                glued.append(word)
                place += len(word) + 1
            found = repairs_of(restorer, glued)
            counts["pairs glued"] += len(pairs)
            counts["pairs split"] += sum(found.get(start) == pair for start, pair in pairs.items())
    report = {
        **counts,
        "clean tokens for one touched": counts["clean tokens"] / max(1, counts["clean touched"]),
        "typos mended, share": counts["typos mended"] / max(1, counts["typos"]),
        "pairs split, share": counts["pairs split"] / max(1, counts["pairs glued"]),
        "touched": touched,
    }
    print(json.dumps(report, indent=2))
    if options.out:
        options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
