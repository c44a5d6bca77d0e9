"""Windows of a long text: they cover it without a hole, and are joined where they agree."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest

from restore.channel import get_channel
from restore.decoder import Step
from restore.lattice.forms import Form
from restore.lattice.gaps import Insertion, Place, Position
from restore.models.base import Window
from restore.search import Begin, advance
from restore.source import TokenStream, read_source
from restore.windows import LEAD, TAIL, Path, Span, breadth, resumed, seam, since_end, spans

WINDOW = Window(before=30, width=110, ahead=10, shown=15, first=40, parts=4)
NARROW = Window(before=30, width=110, ahead=10, shown=15, first=24, parts=8, least=54)


def stream(number: int) -> TokenStream:
    return TokenStream(read_source("word " * number, get_channel("nltk")))


def cut(number: int, window: Window) -> list[list[Span]]:
    """Return the blocks of a text, as a search that joins each window at its end goes through them."""
    blocks, start, tokens = [], 0, stream(number)
    while not blocks or not blocks[-1][-1].last:
        blocks.append(spans(tokens, start, window))
        start = blocks[-1][-1].upto
    return blocks


@pytest.mark.parametrize("window", [WINDOW, NARROW, Window(2, 3, 2, parts=3), Window(8, 384, 32)])
@pytest.mark.parametrize("number", [0, 1, 3, 5, 40, 134, 135, 136, 200, 479, 480, 481, 1000, 3001])
def test_windows_cover_a_text(number: int, window: Window) -> None:
    blocks = cut(number, window)
    row = [span for block in blocks for span in block]
    assert row[0].own == 0
    assert all(before.upto == after.own for before, after in pairwise(row))
    assert row[-1].stop == row[-1].seen == number
    for block in blocks:
        assert len(block) <= window.parts
        assert block[0].start == block[0].own, "the first of a block goes on from what is restored"
        assert all(span.start < span.own for span in block[1:]), "each other begins on its own"
        for span in block:
            assert span.start <= span.own <= span.upto <= span.stop <= span.seen <= number
            assert span.own - span.start <= LEAD
            assert span.upto - span.own <= max(window.most, window.width)


@pytest.mark.parametrize("window", [WINDOW, NARROW, Window(2, 3, 2, parts=3), Window(8, 384, 32)])
@pytest.mark.parametrize("number", [0, 1, 3, 5, 40, 134, 135, 136, 200, 260, 261, 479, 480, 481, 1000])
def test_breadth_is_that_of_the_widest_block(number: int, window: Window) -> None:
    assert breadth(stream(number), window) == max(map(len, cut(number, window)))


def test_a_model_that_takes_any_text_whole_has_one_window() -> None:
    assert breadth(stream(1000), None) == 1


def test_a_short_text_is_one_window() -> None:
    assert len(spans(stream(WINDOW.most), 0, WINDOW)) == 1
    assert not spans(stream(WINDOW.most + 1), 0, WINDOW)[0].last


@pytest.mark.parametrize(("window", "number", "widths"), [
    (NARROW, 107, [[107]]), (NARROW, 108, [[54, 54]]), (NARROW, 135, [[67, 68]]), (NARROW, 136, [[24, 56, 56]]),
    (NARROW, 24 + 161, [[24, 80, 81]]),
    (NARROW, 24 + 162, [[24, 54, 54, 54]]), (NARROW, 24 + 399, [[24, 57, 57, 57, 57, 57, 57, 57]]),
    (NARROW, 24 + 770 + 60, [[24] + [110] * 7, [60]]), (NARROW, 24 + 770 + 108, [[24] + [110] * 7, [54, 54]]),
    (NARROW, 24 + 770 + 440, [[24] + [110] * 7, [55] * 8]), (WINDOW, 40 + 162, [[40, 81, 81]]),
    (Window(8, 384, 32), 800, [[96], [384], [320]]),
])  # fmt: skip
def test_windows_are_as_many_as_may_be_and_no_narrower_than_they_may(
    window: Window, number: int, widths: list[list[int]]
) -> None:
    assert [[span.upto - span.own for span in block] for block in cut(number, window)] == widths


def test_no_window_begins_on_its_own_inside_what_is_open() -> None:
    assert len(spans(stream(1000), 40, WINDOW)) == 4
    assert len(spans(stream(1000), 40, WINDOW, inside=True)) == 1


def path(start: int, text: str, quoted: bool = False) -> Path:
    """Return a path: words are forms of a token each, but for those in brackets, which are insertions; "." ends.

    A '"' opens or closes a quotation, which is open from the start if `quoted`.
    """
    steps: list[Step] = []
    for unit in text.split():
        if unit == '"':
            quoted = not quoted
            continue
        what: Form | Insertion
        place = Place.END if unit == "." else Place.WORD
        position = Position(place, unit == ".", quote=quoted)
        if unit == "." or unit.startswith("("):
            what = Insertion(unit.strip("()"), "mark" if unit == "." else "word", place)
        else:
            what = Form(unit, 1, 0.0, 0.0)
        steps.append(Step(steps[-1] if steps else None, what, " " + unit.strip("()"), position))
    return Path(start, steps)


def test_windows_are_joined_where_both_end_a_sentence() -> None:
    one = path(0, "a b c d e f g . h i")
    other = path(2, "(the) c d e f g . h (of) i j")
    assert seam(one, other, own=4, upto=10) == 7


def test_windows_are_joined_where_they_agree() -> None:
    one = path(0, "a b c d e f g h i j k l")
    other = path(2, "C D e f g h i j k l m n o")
    token = seam(one, other, own=3, upto=12)
    assert token is not None
    assert 6 <= token <= 10


def test_windows_are_not_joined_inside_what_only_one_has_opened() -> None:
    units = "a b c d e f g h i j"
    assert seam(path(0, units), path(0, units), own=3, upto=9) is not None
    assert seam(path(0, units), path(0, units, quoted=True), own=3, upto=9) is None


@pytest.mark.parametrize(
    ("text", "ends", "owns"),
    [
        ("w " * 150, 100 + TAIL, [95, 100 + TAIL, 210]),  # not where they were compared already
        ('" ' + "w " * 80 + '" ' + "w " * 70, 161, [95, 161, 210]),  # as soon as the quotation is closed
        ('" ' + "w " * 150, 210, [95, 210]),  # it is never closed: on to the window after
        ('" ' + "w " * 125 + '" ' + "w " * 25, 210, [95, 210]),  # too late to be worth it
    ],
)
def test_a_bridge_leads_to_where_the_other_window_is_closed(text: str, ends: int, owns: list[int]) -> None:
    other, last = Span(80, 100, 210, 224, 239, False), Span(190, 210, 320, 334, 349, False)
    found = [(other, path(80, text)), (last, path(190, "w " * 144))]
    block = resumed(stream(1000), 95, found, WINDOW)
    assert [span.own for span in block] == owns
    assert (block[0].start, block[0].upto, block[0].stop) == (95, ends, ends + TAIL)
    assert block[-1] == last


def test_a_bridge_is_no_wider_than_a_window() -> None:
    other, last = Span(80, 100, 210, 224, 239, False), Span(190, 210, 320, 334, 349, False)
    found = [(other, path(80, '" ' + "w " * 150)), (last, path(190, ""))]
    assert resumed(stream(1000), 210 - WINDOW.width - LEAD, found, WINDOW)
    assert resumed(stream(1000), 209 - WINDOW.width - LEAD, found, WINDOW) == []


def test_there_is_no_bridge_to_a_last_window_that_stays_open() -> None:
    last = Span(80, 100, 210, 210, 210, True)
    assert resumed(stream(210), 40, [(last, path(80, "w " * 130, quoted=True))], WINDOW) == []


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a b c", 3), ("a b .", 0), ("a . b (of) c", 2), ("a . b . c", 1)])
def test_tokens_since_a_sentence_end(text: str, tokens: int) -> None:
    assert since_end(path(0, text).steps) == tokens


class Planned:
    """A search of two windows, the second of which is found before the first."""

    breadth = 2

    def run(self):
        first, second = Span(0, 0, 9, 9, 9, False), Span(5, 9, 18, 18, 18, True)
        found = yield Begin({first: self.asking("first", 3), second: self.asking("second", 1)}, [first])
        self.found = [*found, *(yield Begin({}, [second]))]

    def asking(self, name, rounds):
        for number in range(rounds):
            assert (yield [(name, number)]) == [(name, number)], "each window gets its own answers"
        return name


class Echo:
    def expand(self, requests):
        return requests


@pytest.mark.parametrize("streams", [1, 2])
def test_a_window_that_is_found_before_it_is_waited_for_is_not_waited_for(streams: int) -> None:
    search, model = Planned(), Echo()
    model.streams = [Echo() for _ in range(streams)]
    steps = sum(1 for _ in islice(advance(search, model), 20))
    assert search.found == ["first", "second"]
    assert steps <= 4
