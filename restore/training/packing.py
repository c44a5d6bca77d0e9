"""Several windows in one row of pieces: no padding, and no window sees another.

A step's windows stand one after the other in a single row. Everything in a Llama but attention works on each position
alone, so only attention has to know where windows begin:

    row        s s s t t t │ s s t t │ s s s s t t t
    position   0 1 2 3 4 5 │ 0 1 2 3 │ 0 1 2 3 4 5 6
    attention  block by block: both ways in the source, else causal
    loss             ↑ ↑ ↑       ↑ ↑           ↑ ↑ ↑
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from restore.errors import RestoreError
from restore.models.neural import plain_pieces
from restore.training.pairs import Window
from restore.training.vocabulary import END, SEPARATOR, START

ATTENTION = "restore-packed"

LONGEST = 800
"""Pieces of a window, of which more are cut off: one in some hundred has more than 600."""

MOST_DROPPED = 1_000
"""Windows in a row whose source alone is longer, after which nothing is expected of the text."""

QUERY_ROWS = 128
"""Queries of a window whose attention is computed at once, so that keys ahead of them cost little."""

HEAD_ROWS = 512
"""Target positions whose logits are computed at once: the logits are the largest tensor of a step."""


NOT_LEARNT = -1
"""What follows a piece of which no successor is learnt."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """An encoded window.

    Attributes:
        pieces: its pieces.
        given: how many of them are before the first that may carry loss.
        learnt: for each piece, the one that is learnt to follow it, or `NOT_LEARNT`; if not given, the pieces themselves,
            from `given` on.
    """

    pieces: list[int]
    given: int
    learnt: list[int] | None = None

    def successors(self) -> list[int]:
        """Return `learnt`, whether or not it is given."""
        if self.learnt is not None:
            return self.learnt
        return [*[NOT_LEARNT] * (self.given - 1), *self.pieces[self.given :], NOT_LEARNT]

    def beginning(self, size: int) -> Encoded:
        """Return the window cut off after so many pieces."""
        if len(self.pieces) <= size:
            return self
        learnt = None if self.learnt is None else [*self.learnt[: size - 1], NOT_LEARNT]
        return Encoded(self.pieces[:size], self.given, learnt)


def special_pieces(tokenizer: Tokenizer) -> tuple[int, int, int]:
    """Return the numbers of the pieces that open a sequence, part source from target, and close it.

    Raises:
        RestoreError: the tokenizer lacks one.
    """
    start, separator, end = (tokenizer.token_to_id(piece) for piece in (START, SEPARATOR, END))
    if start is None or separator is None or end is None:
        raise RestoreError(f"the tokenizer lacks one of {START}, {SEPARATOR}, {END}, which mark source and target")
    return start, separator, end


def encode_window(tokenizer: Tokenizer, window: Window, draft: Sequence[str | None] = ()) -> Encoded:
    """Encode a window in the sequence format that `Window` documents. The names of special pieces mean nothing in a text.

    Args:
        tokenizer: makes pieces.
        window: the window.
        draft: for each of the window's places, the unit to stand there in place of the original's, which is learnt; None
            leaves it (see `restore.training.drafts`). There is none where the units' pieces are not the text's.
    """
    start, separator, end = special_pieces(tokenizer)
    given = [start, *plain_pieces(tokenizer, " " + window.source), separator]
    text = [*plain_pieces(tokenizer, window.prefix), *plain_pieces(tokenizer, window.target)]
    closing = [end] if window.closed else []
    if draft:
        whole = window.prefix + window.target
        bounds = [0, *(place_end for _, place_end in window.places)]
        units = [plain_pieces(tokenizer, whole[one:other]) for one, other in pairwise(bounds)]
        tail = plain_pieces(tokenizer, whole[bounds[-1] :])
        if [*chain.from_iterable(units), *tail] == text:
            drawn = [None if unit is None else plain_pieces(tokenizer, unit) for unit in draft]
            return _drafted(given, units, drawn, [*tail, *closing])
    return Encoded([*given, *text, *closing], len(given))


def _drafted(
    given: Sequence[int], units: Sequence[Sequence[int]], drawn: Sequence[Sequence[int] | None], tail: Sequence[int]
) -> Encoded:
    """Return a window that reads drawn units and learns the original's, up to where the two part."""
    pieces, learnt = list(given), [NOT_LEARNT] * len(given)
    for unit, other in zip([*units, tail], [*drawn, None], strict=True):
        read = unit if other is None else other
        same = True
        for number, piece in enumerate(read):
            learnt[-1] = unit[number] if same and number < len(unit) else NOT_LEARNT
            same = same and learnt[-1] == piece
            pieces.append(piece)
            learnt.append(NOT_LEARNT)
    return Encoded(pieces, len(given), learnt)


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows packed into one row.

    Attributes:
        pieces, positions: the row, shape (1, length).
        lengths: the length of each window.
        sources: how many of each window's first pieces see each other both ways.
        places: row indices whose next piece carries loss.
        targets: those next pieces.
        following: the number of the first window after the batch.
    """

    pieces: Tensor
    positions: Tensor
    lengths: list[int]
    sources: list[int]
    places: Tensor
    targets: Tensor
    following: int


def pack(sequences: Sequence[Encoded], following: int = 0) -> Batch:
    """Pack encoded windows into one row."""
    row, positions, places, targets = list[int](), list[int](), list[int](), list[int]()
    for one in sequences:
        at = len(row)
        learnt = [(at + place, piece) for place, piece in enumerate(one.successors()) if piece != NOT_LEARNT]
        places.extend(place for place, _ in learnt)
        targets.extend(piece for _, piece in learnt)
        row.extend(one.pieces)
        positions.extend(range(len(one.pieces)))
    return Batch(
        torch.tensor([row]),
        torch.tensor([positions]),
        [len(one.pieces) for one in sequences],
        [one.given - 1 for one in sequences],
        torch.tensor(places),
        torch.tensor(targets),
        following,
    )


def batches(encoded: Callable[[int], Encoded], first: int, size: int, workers: int = 1) -> Iterator[list[Batch]]:
    """Yield the batches of one step after another, window after window from number `first` on, for ever.

    A step holds at most `size` pieces, and its windows are dealt out so that all workers have about as much to do. A
    window of more than `LONGEST` pieces is cut at its end.

    Yields:
        One batch for each worker that has work, at most `workers` of them.

    Raises:
        RestoreError: the sources of the windows leave no room for their targets.
    """
    waiting, total, number, dropped = list[Encoded](), 0, first, 0
    while True:
        one = encoded(number).beginning(min(LONGEST, size))
        dropped = 0 if one.given < len(one.pieces) else dropped + 1
        if dropped > MOST_DROPPED:
            raise RestoreError(f"training: stripped windows have more than {min(LONGEST, size)} pieces; is the text English?")
        if waiting and total + len(one.pieces) > size:
            yield [pack(share, number) for share in deal(waiting, workers) if share]
            waiting, total = [], 0
        if one.given < len(one.pieces):
            waiting.append(one)
            total += len(one.pieces)
        number += 1


def deal(sequences: Sequence[Encoded], workers: int) -> list[list[Encoded]]:
    """Deal windows out evenly: the longest first, each to whoever has the least so far.

    >>> shares = deal([Encoded([0] * n, 0) for n in (5, 9, 4)], 2)
    >>> [[len(one.pieces) for one in share] for share in shares]
    [[9], [5, 4]]
    """
    shares: list[list[Encoded]] = [[] for _ in range(workers)]
    loads = [0] * workers
    for one in sorted(sequences, key=lambda sequence: -len(sequence.pieces)):
        least = loads.index(min(loads))
        shares[least].append(one)
        loads[least] += len(one.pieces)
    return shares


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
    sources: list[int] | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention within each window of a packed row, called by transformers' Llama: both ways in the source, else causal.

    Args:
        module: the layer (not used: the call's shape is transformers').
        query: shape (1, heads, length, width).
        key: the same with fewer heads, each for several of the query's.
        value: as `key`.
        attention_mask: not used; `lengths` says all.
        scaling: what the products of queries and keys are multiplied by.
        lengths: the lengths of the windows; None is one window.
        sources: how many of each window's first pieces see each other both ways; None is none.
    """
    sizes = lengths or [query.shape[2]]
    firsts = sources or [0] * len(sizes)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    query, key = query.to(value.dtype), key.to(value.dtype)  # the rotation of positions left them in float32
    attend = _half_attention if value.dtype == torch.bfloat16 else _attention
    parts = [
        attend(q, k, v, scale, first)
        for q, k, v, first in zip(*(torch.split(tensor, sizes, 2) for tensor in (query, key, value)), firsts, strict=True)
    ]
    return torch.cat(parts, 2).transpose(1, 2).contiguous(), None


def _attention(query: Tensor, key: Tensor, value: Tensor, scale: float, source: int) -> Tensor:
    attend = partial(functional.scaled_dot_product_attention, scale=scale, enable_gqa=True)
    if source < 2:
        return attend(query, key, value, is_causal=True)
    first = attend(query[:, :, :source], key[:, :, :source], value[:, :, :source])
    length = query.shape[2]
    seen = torch.ones(length - source, length, dtype=torch.bool).tril_(source)
    return torch.cat([first, attend(query[:, :, source:], key, value, attn_mask=seen)], 2)


def _half_attention(query: Tensor, key: Tensor, value: Tensor, scale: float, source: int) -> Tensor:
    """The same by plain matrix products, which take half the time of torch's own kernel in bfloat16 on a processor."""
    _, heads, length, width = query.shape
    groups = key.shape[1]
    many = heads // groups
    grouped = query.reshape(groups, many, length, width)
    parts = []
    for start in range(0, length, QUERY_ROWS):
        end = min(start + QUERY_ROWS, length)
        some = grouped[:, :, start:end].reshape(groups, many * (end - start), width)
        upto = max(end, source) if start < source else end
        scores = torch.bmm(some, key[0, :, :upto].transpose(1, 2)).view(groups, many, end - start, upto)
        ahead = torch.full((end - start, upto), -torch.inf, dtype=scores.dtype).triu_(start + 1)
        ahead[: max(0, source - start), :source] = 0
        shares = torch.softmax(torch.add(ahead, scores, alpha=scale), -1)
        read = torch.bmm(shares.view(groups, many * (end - start), upto), value[0, :, :upto])
        parts.append(read.view(groups, many, end - start, width))
    return torch.cat(parts, 2).view(1, heads, length, width)


AttentionInterface.register(ATTENTION, packed_attention)


class HalfNorm(LlamaRMSNorm):  # type: ignore[misc]  # where transformers is not installed
    """A Llama's norm that gives bfloat16 where autocast is on: the layers that read it need no copies in that type."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return x / sqrt(mean(x^2) + epsilon) * weight, the mean over the last dimension."""
        if not torch.is_autocast_enabled("cpu"):
            return super().forward(hidden_states)  # type: ignore[no-any-return]
        normed: Tensor = _HalfNormed.apply(hidden_states, self.weight, self.variance_epsilon)  # type: ignore[no-untyped-call]
        return normed


class _HalfNormed(torch.autograd.Function):  # type: ignore[misc]  # where PyTorch is not installed
    """A norm and its derivatives, written out to pass over the memory seldom, which is what elementwise operations wait for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        squares = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_()
        scale = squares.div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        normed: Tensor = (x * scale).mul_(weight)
        return normed.bfloat16()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, scale = ctx.saved_tensors
        (gradient,) = gradients
        products = (x * gradient).view(-1, x.shape[-1])
        along = torch.mv(products, weight).view_as(scale)
        found = (gradient * weight).mul_(scale).addcmul_(x, along * scale**3 / x.shape[-1], value=-1)
        return found, torch.mv(products.T, scale.view(-1)), None


def quicken(model: LlamaForCausalLM) -> None:
    """Give a model norms that are quicker to train in bfloat16, and else the same. Norms of other kinds stay as they are."""
    for module in model.modules():
        if type(module) is LlamaRMSNorm:
            module.__class__ = HalfNorm


def losses(model: LlamaForCausalLM, batch: Batch, half: bool = False) -> Tensor:
    """Return the loss of each target piece, in nats. The head is applied to target positions only.

    Args:
        model: the model, its weights in float32.
        batch: what to read.
        half: multiply matrices in bfloat16.
    """
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        hidden = model.model(
            input_ids=batch.pieces, position_ids=batch.positions, lengths=batch.lengths, sources=batch.sources,
            use_cache=False
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
