from __future__ import annotations

import random

import numpy as np
import pytest

from restore.tags import Case, Mark, Tags
from restore.training.drafts import Drafter
from restore.training.pairs import Window, WindowSource

from .tiny_models import byte_level

PLACES = ((4, 9), (10, 15), (19, 29), (30, 36))
WINDOW = Window("court found compelling reason", "", "The court found no compelling reason", True, "nltk", PLACES)


class Sure:
    """A tagger that is sure of what it says of every token: "the" before it, its plural, in lower case."""

    def __init__(self) -> None:
        self.words = {"": 0, "?": 1, "the": 2}
        self.edits = {"?": 0, "=": 1, "-+s": 2}

    def tag(self, tokens: list[str], start: int = 0, stop: int | None = None) -> Tags:
        def sure(width: int, column: int) -> np.ndarray:
            rows = np.full((len(tokens[start:stop]), width), -50.0, np.float32)
            rows[:, column] = 0
            return rows

        return Tags(sure(6, Mark.NONE), sure(3, 2), sure(3, 2), sure(3, 2), sure(3, 2), sure(4, Case.LOWER))


@pytest.fixture(scope="module")
def packing():
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from restore.training import packing

    return packing


@pytest.fixture(scope="module")
def tokenizer():
    return byte_level()


def drafter() -> Drafter:
    return Drafter(Sure(), {" the ": 5, " ": 9, ". ": 3})  # type: ignore[arg-type]


def learnt(packing, tokenizer, encoded) -> list[tuple[str, str]]:
    """What is read, and what is learnt to come after it, from the separator on."""
    pairs = list(zip(encoded.pieces, encoded.successors(), strict=True))[encoded.given - 1 :]
    return [
        (tokenizer.decode([piece], skip_special_tokens=False),
         "" if after == packing.NOT_LEARNT else tokenizer.decode([after], skip_special_tokens=False))
        for piece, after in pairs
    ]  # fmt: skip


def test_a_draft_has_what_the_tagger_says() -> None:
    found = {tuple(drafter().draft(WINDOW, random.Random(seed))) for seed in range(40)}
    # A plural that the channel would not make the token again is not drawn: the original's form stays.
    whole = ("The courts", " the founds", " the compelling", " the reasons")
    assert any(sum(unit is not None for unit in one) == 4 for one in found)
    for one in found:
        for number, unit in enumerate(one):
            assert unit is None or unit in {whole[number], " the found", "The court"}
    assert len(found) > 3  # some units stay the original's in some of the windows


def test_a_drafted_window_learns_the_original_up_to_where_the_two_part(packing, tokenizer) -> None:
    draft = [None, ", found", None, None]
    encoded = packing.encode_window(tokenizer, WINDOW, draft)
    shown = learnt(packing, tokenizer, encoded)
    assert "".join(piece for piece, _ in shown[1:-1]) == "The court, found no compelling reason"
    places = [number for number, (piece, _) in enumerate(shown) if piece == ","]
    assert len(places) == 1
    wanted = tokenizer.encode(" found", add_special_tokens=False).tokens[0].replace("\u0120", " ")
    assert shown[places[0] - 1][1] == wanted  # the original's piece is learnt, not the draft's
    assert shown[places[0]][1] == ""  # and nothing of how the draft's unit goes on
    assert shown[-2][1] == "<|endoftext|>"


def test_an_undrafted_window_learns_itself(packing, tokenizer) -> None:
    plain = packing.encode_window(tokenizer, WINDOW)
    same = packing.encode_window(tokenizer, WINDOW, [None] * 4)
    assert same.pieces == plain.pieces
    assert same.successors() == plain.successors()


def test_a_window_that_is_cut_learns_nothing_beyond(packing, tokenizer) -> None:
    encoded = packing.encode_window(tokenizer, WINDOW, [None, ", found", None, None])
    cut = encoded.beginning(len(encoded.pieces) - 2)
    assert cut.successors()[-1] == packing.NOT_LEARNT
    assert len(cut.successors()) == len(cut.pieces) == len(encoded.pieces) - 2


def test_places_are_those_of_the_tokens_of_the_source() -> None:
    text = "The minister of health resigned on Monday, and nobody was surprised. Her party had lost 6,000 members! " * 5
    source = WindowSource({"a": [text]}, channels={"nltk": 1})
    windows = [source.window(number) for number in range(60)]
    placed = [window for window in windows if window.places]
    assert len(placed) > 40
    for window in placed:
        whole, tokens = window.prefix + window.target, window.source.split(" ")
        for token, (start, end) in zip(tokens, window.places, strict=False):
            assert whole[start:end].lower().startswith(token[:3])


def test_nothing_is_drawn_of_a_damaged_window() -> None:
    assert drafter().draft(Window("court fond", "", "The court found", True), random.Random(0)) == []
