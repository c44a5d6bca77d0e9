"""Changes to inputs, as fuzzers make them: bits, numbers, pieces, words; several at a time."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

MOST = 300_000
"""No input grows beyond so many bytes."""

NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)
WORDS = (
    b"null", b"true", b"-1", b"1e400", b"1e-400", b"NaN", b"[]", b"{}", b'""', b"99999999999999999999", b"[" * 2000, b"\\ud800",
    b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r\n", b"\n\n", b"\n", b'"', b"'", b",", b" ", b"\t", b"\\", b"..", b"/",
    b"\xe2\x80\xa8", b"\xc2\x85", b"\xcc\x81", b"\xe2\x80\xae", b"\xf0\x9f\x98\x80", b"<script>", b"-->", b"]]>", b"%%%",
    b" they ", b" being ", b" us ", b" u ", b" wa ", b"non-citizen", b" 6 000 ", b" o rourke ", b" U.S. ", b"'s", b" polici ",
    b"responsibity", b" morea ", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "İ".encode(), "ß".encode(), "ﬁ".encode(), "Ǆ".encode(), "٣".encode(), "²".encode(), "Ⅷ".encode(), "ª".encode(),
)  # fmt: skip

Change = Callable[[bytearray, Sequence[bytes], random.Random], None]


def mutate(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """Return an input with one or several changes.

    Args:
        data: the input.
        seeds: others, to take pieces from.
        chance: decides.
    """
    changed = bytearray(data)
    for _ in range(1 << chance.randrange(5)):
        chance.choice(_CHANGES)(changed, seeds, chance)
    return bytes(changed[:MOST])


def _place(data: bytearray, chance: random.Random) -> int:
    """Return a place; often near the start, where headers are."""
    size = len(data) if chance.random() < 0.7 else min(len(data), 200)
    return chance.randrange(size + 1)


def _piece(data: bytes | bytearray, chance: random.Random) -> tuple[int, int]:
    start = _place(bytearray(data), chance)
    return start, min(len(data), start + (1 << chance.randrange(12)))


def _flip(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    if data:
        data[min(_place(data, chance), len(data) - 1)] ^= 1 << chance.randrange(8)


def _byte(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    if data:
        data[min(_place(data, chance), len(data) - 1)] = chance.randrange(256)


def _number(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    width = chance.choice((1, 2, 4, 8))
    place = _place(data, chance)
    value = chance.choice(NUMBERS) % (1 << 8 * width)
    data[place : place + width] = value.to_bytes(width, chance.choice(("little", "big")))


def _digits(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    found = list(re.finditer(rb"-?\d+", data))
    if found:
        match = chance.choice(found)
        near = int(match.group()[:18]) + chance.choice((-1, 1, 8, 1000))
        data[match.start() : match.end()] = b"%d" % chance.choice((near, *NUMBERS, -1))


def _insert(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    place = _place(data, chance)
    data[place:place] = chance.choice(WORDS)


def _delete(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    start, end = _piece(data, chance)
    del data[start:end]


def _double(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    start, end = _piece(data, chance)
    data[start:start] = data[start:end] * chance.choice((1, 1, 2, 30))


def _splice(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    other = chance.choice(seeds)
    start, end = _piece(other, chance)
    place = _place(data, chance)
    data[place : place + chance.choice((0, end - start))] = other[start:end]


def _cut(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    del data[_place(data, chance) :]


def _swap(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    start, end = _piece(data, chance)
    data[start:end] = reversed(data[start:end])


_CHANGES: tuple[Change, ...] = (
    _flip, _flip, _byte, _number, _digits, _digits, _insert, _insert, _insert, _delete, _double, _splice, _splice, _cut, _swap,
)  # fmt: skip
