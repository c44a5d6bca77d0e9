"""Drop the pieces that a corpus hardly uses from a byte-level BPE vocabulary.

A smaller vocabulary makes a smaller embedding, a cheaper softmax and a smaller file. Any text can still be encoded,
and text whose pieces are all kept is encoded exactly as before: with a piece, all that it is merged from is kept.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from restore.errors import RestoreError

START, SEPARATOR, END = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
SPECIALS = (END, START, SEPARATOR)


@dataclass(frozen=True, slots=True)
class Pruned:
    """A smaller tokenizer, and for each of its pieces the number it had before."""

    tokenizer: Tokenizer
    kept: list[int]


def count_pieces(tokenizer: Tokenizer, texts: Sequence[str], batch: int = 256) -> Counter[int]:
    """Count the pieces of the texts as they stand and in lower case, as sources are written."""
    counts = Counter[int]()
    for at in range(0, len(texts), batch):
        some = list(texts[at : at + batch])
        for encoding in tokenizer.encode_batch([*some, *(text.lower() for text in some)], add_special_tokens=False):
            counts.update(encoding.ids)
    return counts


def prune(tokenizer: Tokenizer, counts: Counter[int], minimum: int) -> Pruned:
    """Return the tokenizer without the pieces that occur fewer than `minimum` times.

    Always kept: single bytes, pieces that stand for one character, the special pieces of the sequence format, and
    every piece that a kept one is merged from. The order of pieces and of merges stays.

    Raises:
        RestoreError: the tokenizer is not a byte-level BPE with the special pieces of the sequence format.
    """
    data = json.loads(tokenizer.to_str())
    model = data["model"]
    if model["type"] != "BPE" or (data["decoder"] or {}).get("type") != "ByteLevel":
        raise RestoreError("pruning: the base model's tokenizer is not a byte-level BPE; train without pruning")
    vocabulary: dict[str, int] = model["vocab"]
    missing = [piece for piece in SPECIALS if piece not in vocabulary]
    if missing:
        raise RestoreError(f"pruning: the tokenizer lacks {', '.join(missing)}; train without pruning")
    merges = [tuple(merge.split(" ") if isinstance(merge, str) else merge) for merge in model["merges"]]
    added = {token["content"] for token in data["added_tokens"]}
    kept = set(SPECIALS)
    for piece, number in vocabulary.items():
        if piece not in added and (counts[number] >= minimum or _one_character(piece, tokenizer, number)):
            kept.add(piece)
    for left, right in reversed(merges):
        if left + right in kept:
            kept.update((left, right))
    order = sorted(kept, key=vocabulary.__getitem__)
    model["vocab"] = {piece: number for number, piece in enumerate(order)}
    model["merges"] = [[a, b] for a, b in merges if a in kept and b in kept and a + b in kept]
    data["added_tokens"] = [
        {**token, "id": model["vocab"][token["content"]]} for token in data["added_tokens"] if token["content"] in kept
    ]
    if model.get("unk_token") not in model["vocab"]:
        model["unk_token"] = None
    return Pruned(Tokenizer.from_str(json.dumps(data, ensure_ascii=False)), [vocabulary[piece] for piece in order])


def _one_character(piece: str, tokenizer: Tokenizer, number: int) -> bool:
    if len(piece) == 1:
        return True
    text = tokenizer.decode([number], skip_special_tokens=False).removeprefix(" ")
    return len(piece) <= 5 and len(text) == 1 and text != "\ufffd"


def used_share(counts: Counter[int], kept: Iterable[int]) -> float:
    """Return the share of all counted pieces that are among the kept ones."""
    return sum(counts[number] for number in kept) / max(1, sum(counts.values()))
