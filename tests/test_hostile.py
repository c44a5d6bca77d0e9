"""Hostile tokens: time and memory are bounded by design (docs/limits.md), and nothing is lost."""

from __future__ import annotations

import pytest

from restore import Restorer, channel_names, strip_text

LONG = 50_000



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
