"""Hostile tokens: time and memory are bounded by design (docs/limits.md), and nothing is lost."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

import pytest

from restore import Restorer, channel_names, restore_text, strip_text
from restore.casing import MOST_WORDS, Casing
from restore.channel import get_channel
from restore.channel.detection import detect_channel
from restore.decoder import Step
from restore.lattice.forms import MAX_FORMS, MAX_UNITS, Form, FormFinder
from restore.lattice.gaps import Place, Position
from restore.lexicon import Entry, default_lexicon
from restore.models.base import Expansion, Request, Window
from restore.posterior import Choice
from restore.restorer import _RESTORERS, MAX_STEPS, MOST_RESTORERS

LONG = 50_000
MOST_STATES = MAX_STEPS
"""Steps of the search from one input token to the next, at most: each takes a state for each hypothesis of the beam."""


@pytest.mark.parametrize("name", channel_names())
@pytest.mark.parametrize("letter", ["y", "a", "7"])
def test_a_long_token(name: str, letter: str) -> None:
    restorer = Restorer(engine="fast", channel=name)
    text = restorer.channel.strip(f"official {letter * LONG} said")
    assert restorer.channel.strip(restorer.restore(text).text) == text


@pytest.mark.parametrize("piece", ["." * LONG, "-" * 1000, "'" * 1000, '"' * 999, "(" * 1000, "\u202e" * 1000])
def test_many_marks(fast: Restorer, piece: str) -> None:
    result = fast.restore(f"official {piece} said")
    assert piece in result.text
    assert result.undo() == f"official {piece} said"


@pytest.mark.parametrize("word", ["official", "u", "p", "padilla", "6", "000", "zqxblort"])
def test_one_word_over_and_over(fast: Restorer, word: str) -> None:
    text = " ".join([word] * 300)
    assert strip_text("".join(fast.stream(text))) == text


def test_many_capitals(fast: Restorer) -> None:
    text = f"official {'X' * LONG} said"
    assert "X" * LONG in fast.restore(text).text


@pytest.mark.slow
@pytest.mark.parametrize("word", ["official", "u", "6"])
def test_one_word_a_hundred_thousand_times(fast: Restorer, word: str) -> None:
    text = " ".join([word] * 100_000)
    assert strip_text("".join(fast.stream(text))) == text


@pytest.mark.slow
@pytest.mark.parametrize("name", channel_names())
def test_a_token_of_a_megabyte(name: str) -> None:
    restorer = Restorer(engine="fast", channel=name)
    text = restorer.channel.strip(f"official {'a' * 1_000_000} said")
    assert restorer.channel.strip(restorer.restore(text).text) == text


class Counted:
    """The fast engine's model, counting the states that it is asked about."""

    def __init__(self, restorer: Restorer) -> None:
        self._model = restorer._loaded().model
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def expand(self, requests: Sequence[Request]) -> list[Expansion]:
        self.asked += len(requests)
        return self._model.expand(requests)


def steps_of(texts: Sequence[str], beam: int = 1) -> list[int]:
    """Return how many states of the model each text takes."""
    restorer = Restorer(engine="fast", beam=beam, repair=False)
    restorer._loaded().model = model = Counted(restorer)  # type: ignore[assignment]
    found = []
    for text in texts:
        model.asked = 0
        assert strip_text("".join(restorer.stream(text))) == strip_text(text)
        found.append(model.asked)
    return found


HOSTILE_TEXTS = {
    "words": " ".join(["official"] * 60),
    "letters": " ".join(["p"] * 60),
    "digits": " ".join(["6", "000", "2014"] * 20),
    "unknown": " ".join(["zqxblort"] * 60),
    "joined": " ".join(["new york", "san francisco"] * 15),
}


@pytest.mark.parametrize("name", HOSTILE_TEXTS)
@pytest.mark.parametrize("beam", [1, 4])
def test_the_work_for_a_token_is_bounded(name: str, beam: int) -> None:
    """By beam, insertions and length of a unit, whatever the token; and so the work for a text is linear."""
    text = HOSTILE_TEXTS[name]
    once, twice = steps_of([text, f"{text} {text}"], beam)
    assert once <= MOST_STATES * max(beam, 2) * len(text.split())
    assert twice <= 2.2 * once + MOST_STATES * max(beam, 2)


class Crowded:
    """A lexicon in which everything comes of thousands of words, and is a part of thousands of units."""

    def _entries(self, make: str) -> list[Entry]:
        return [Entry(make.format(number), -10.0 - number / 1000) for number in range(5000)]

    def variants(self, lower: str) -> list[Entry]:
        return [Entry(lower, -9.0)]

    def with_part(self, part: str) -> list[Entry]:
        return [
            *self._entries(f"{part}.zq{{}}"),
            *self._entries(f"{part}.s.{{}}"),
            *self._entries(f"the.{part}.of{{}}"),
        ]

    def preimage(self, map_name: str, token: str) -> list[Entry]:
        return self._entries(f"{token}s" + "{}")


def test_thousands_of_alternatives() -> None:
    for token in ("q", "run"):
        found = FormFinder(get_channel("nltk"), Crowded()).forms(token)  # type: ignore[arg-type]
        assert 0 < len(found.single) <= MAX_FORMS
        assert len(found.joint) <= MAX_UNITS


@pytest.mark.parametrize("channel", ["nltk", "transcript", "stemmed", "lower"])
def test_forms_are_few_whatever_the_token(channel: str) -> None:
    finder = Restorer(engine="fast", channel=channel)._loaded().finder
    for token in ("s", "a", "e", "u", "st", "de", "gener", "oper", "commun", "1", "000", "y" * 64, "zqx'blort-" * 6):
        found = finder.forms(token)
        assert 0 < len(found.single) <= MAX_FORMS
        assert len(found.joint) <= MAX_UNITS


@pytest.mark.parametrize(
    "text",
    [
        "7" * LONG,
        " ".join("0123456789" * 30),
        " ".join(["000"] * 300),
        " ".join(["1" * 63] * 20),
        "." * LONG,
        " ".join([",", ";", "...", "?!", "(", ")", '"', "'", "--", "%", "&"] * 20),
        "\u2014\u201c\u201d" * 1000,
        "," + " ," * 300,
        "\u0301" * 1000,
    ],
)
@pytest.mark.parametrize("channel", ["nltk", "transcript", "lower", "gensim"])
def test_digits_alone_and_marks_alone(text: str, channel: str) -> None:
    result = Restorer(engine="fast", channel=channel, beam=2).restore(text)
    assert result.undo() == text
    assert result.replay() == result.text


def test_memory_does_not_grow_with_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    # So that both texts are longer than what is read at a time.
    monkeypatch.setattr("restore.restorer.SAMPLE", 50)
    monkeypatch.setattr("restore.models.words.WINDOW", Window(before=8, width=50, ahead=10))
    monkeypatch.setattr("restore.engines._OPEN", WeakValueDictionary())  # a model that other tests have filled would forget
    restorer = Restorer(engine="fast", beam=1, confidence=False)
    list(restorer.stream(" ".join(["official"] * 400)))  # what is loaded, and remembered
    peaks = []
    gc.collect()
    gc.freeze()  # what is loaded need not be looked through again
    tracemalloc.start()
    try:
        for size in (400, 1200):
            text = " ".join(["official"] * size)
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            for _ in restorer.stream(text):
                gc.collect()  # what waits to be collected is no measure
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    assert peaks[1] < 1.2 * peaks[0]


def test_votes_on_casing_are_forgotten_in_the_end() -> None:
    casing = Casing(default_lexicon(), lambda one, other: True)
    for number in range(MOST_WORDS + 50):
        word = f"w{number}"
        step = Step(None, Form(word, 1, 0.0, 0.0), " " + word, Position(Place.WORD, initial=False))
        casing.observe([step, step], [Choice((), ((word, 1.0),), {})] * 2)
    assert len(casing._votes) == MOST_WORDS


def test_long_pieces_are_not_remembered_by_detection() -> None:
    detect_channel("official said")
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        detect_channel(" ".join(f"{number}{'a' * LONG}" for number in range(40)))
        assert tracemalloc.get_traced_memory()[0] - before < 10 * LONG
    finally:
        tracemalloc.stop()


def test_restorers_held_ready_are_few() -> None:
    for number in range(MOST_RESTORERS + 4):
        restore_text("", min_confidence=number / 100)
    assert len(_RESTORERS) <= MOST_RESTORERS


@pytest.mark.parametrize("channel", ["nltk", "lower", "unicode", "auto"])
def test_half_a_surrogate_pair_is_a_token_like_any_other(channel: str) -> None:
    text = "official \ud800 said minister resigned week immigration law passed"
    result = Restorer(engine="fast", channel=channel).restore(text)
    assert "\ud800" in result.text
    assert strip_text(result.text, result.channel) == strip_text(text, result.channel)
