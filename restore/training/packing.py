"""Several windows in one row of pieces: no padding, and no window sees another.

A step's windows stand one after the other in a single row. Everything in a Llama but attention works on each position
alone, so only attention has to know where windows begin:

    row        s s s t t t │ s s t t │ s s s s t t t
    position   0 1 2 3 4 5 │ 0 1 2 3 │ 0 1 2 3 4 5 6
    attention  causal, block by block
    loss             ↑ ↑ ↑       ↑ ↑           ↑ ↑ ↑
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface, LlamaForCausalLM

from restore.errors import RestoreError
from restore.training.pairs import Window
from restore.training.vocabulary import END, SEPARATOR, START

ATTENTION = "restore-packed"

HEAD_ROWS = 512
"""Target positions whose logits are computed at once: the logits are the largest tensor of a step."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """An encoded window: its pieces, and the number of those before the first that carries loss."""

    pieces: list[int]
    given: int


def special_pieces(tokenizer: Tokenizer) -> tuple[int, int, int]:
    """Return the numbers of the pieces that open a sequence, part source from target, and close it.

    Raises:
        RestoreError: the tokenizer lacks one.
    """
    start, separator, end = (tokenizer.token_to_id(piece) for piece in (START, SEPARATOR, END))
    if start is None or separator is None or end is None:
        raise RestoreError(f"the tokenizer lacks one of {START}, {SEPARATOR}, {END}, which mark source and target")
    return start, separator, end


def encode_window(tokenizer: Tokenizer, window: Window) -> Encoded:
    """Encode a window in the sequence format that `Window` documents."""

    def pieces(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids) if text else []

    start, separator, end = special_pieces(tokenizer)
    given = [start, *pieces(" " + window.source), separator]
    text = [*pieces(window.prefix), *pieces(window.target)]
    return Encoded([*given, *text, *([end] if window.closed else [])], len(given))


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows packed into one row.

    Attributes:
        pieces, positions: the row, shape (1, length).
        lengths: the length of each window.
        places: row indices whose next piece carries loss.
        targets: those next pieces.
        following: the number of the first window after the batch.
    """

    pieces: Tensor
    positions: Tensor
    lengths: list[int]
    places: Tensor
    targets: Tensor
    following: int


def pack(sequences: Sequence[Encoded], following: int = 0) -> Batch:
    """Pack encoded windows into one row."""
    row, positions, places, targets = list[int](), list[int](), list[int](), list[int]()
    for one in sequences:
        at = len(row)
        places.extend(range(at + one.given - 1, at + len(one.pieces) - 1))
        targets.extend(one.pieces[one.given :])
        row.extend(one.pieces)
        positions.extend(range(len(one.pieces)))
    return Batch(
        torch.tensor([row]),
        torch.tensor([positions]),
        [len(one.pieces) for one in sequences],
        torch.tensor(places),
        torch.tensor(targets),
        following,
    )


def batches(encoded: Callable[[int], Encoded], first: int, size: int) -> Iterator[Batch]:
    """Yield batches of at most `size` pieces, window after window from number `first` on, for ever.

    A window that is longer than `size` is cut at its end.
    """
    waiting, total, number = list[Encoded](), 0, first
    while True:
        one = encoded(number)
        one = Encoded(one.pieces[:size], one.given)
        if waiting and total + len(one.pieces) > size:
            yield pack(waiting, number)
            waiting, total = [], 0
        if one.given < len(one.pieces):
            waiting.append(one)
            total += len(one.pieces)
        number += 1


def fixed_batches(sequences: Iterable[Encoded], size: int) -> list[Batch]:
    """Pack a finite row of windows into batches of at most `size` pieces, in order."""
    groups, total = [list[Encoded]()], 0
    for one in sequences:
        if groups[-1] and total + len(one.pieces) > size:
            groups.append([])
            total = 0
        groups[-1].append(one)
        total += len(one.pieces)
    return [pack(group) for group in groups if group]


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    lengths: list[int] | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each window of a packed row, called by transformers' Llama.

    Args:
        module: the layer (not used: the call's shape is transformers').
        query: shape (1, heads, length, width).
        key: the same with fewer heads, each for several of the query's.
        value: as `key`.
        attention_mask: not used; `lengths` says all.
        scaling: what the products of queries and keys are multiplied by.
        lengths: the lengths of the windows; None is one window.
    """
    sizes = lengths or [query.shape[2]]
    parts = [
        functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, enable_gqa=True)
        for q, k, v in zip(*(torch.split(tensor, sizes, 2) for tensor in (query, key, value)), strict=True)
    ]
    return torch.cat(parts, 2).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, packed_attention)


def half_precision() -> bool:
    """Return whether this processor multiplies bfloat16 numbers by itself, at twice the speed of float32."""
    cpu: Any = torch.cpu
    return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())


def losses(model: LlamaForCausalLM, batch: Batch, half: bool = False) -> Tensor:
    """Return the loss of each target piece, in nats. The head is applied to target positions only.

    Args:
        model: the model, its weights in float32.
        batch: what to read.
        half: multiply matrices in bfloat16.
    """
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        hidden = model.model(
            input_ids=batch.pieces, position_ids=batch.positions, lengths=batch.lengths, use_cache=False
        ).last_hidden_state[0]
        rows = hidden[batch.places]
        return torch.cat(
            [
                functional.cross_entropy(model.lm_head(some).float(), wanted, reduction="none")
                for some, wanted in zip(
                    torch.split(rows, HEAD_ROWS), torch.split(batch.targets, HEAD_ROWS), strict=True
                )
            ]
        )
