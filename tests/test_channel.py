"""Channels: what they strip, and where each token came from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore import Channel, ChannelError, channel_names, get_channel, strip_text

CASES = json.loads((Path(__file__).parent / "data" / "channel.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["label"])
def test_strips(case: dict[str, str]) -> None:
    assert strip_text(case["text"], case["channel"]) == case["stripped"]


@given(st.text(), st.sampled_from(channel_names()))
def test_tokens_know_where_they_came_from(text: str, name: str) -> None:
    channel = get_channel(name)
    tokens = channel.tokens(text)
    for token in tokens:
        run = text[token.start : token.end]
        assert channel.word.fullmatch(run)
        assert channel.image(run) == token.text
    assert [token.start for token in tokens] == sorted(token.start for token in tokens)


def test_order_of_dropping_and_mapping_matters() -> None:
    stop = get_channel("nltk").stop_words
    lemma_first = Channel("x", stop_words=stop, map="wordnet-noun", order="map-drop")
    assert lemma_first.strip("It was, it has and does") == "wa ha doe"
    assert get_channel("nltk").strip("It was, it has and does") == ""


def test_stop_words_as_written() -> None:
    channel = Channel("x", stop_words=frozenset({"the"}), stop_as_written=True)
    assert channel.strip("The end of the road") == "the end of road"


def test_lengths_and_numbers() -> None:
    channel = Channel("x", min_length=3, numbers=False)
    assert channel.strip("In 2014 an x2 was B2B") == "was b2b"


def test_a_channel_is_a_value() -> None:
    assert Channel("x", keep="'") == Channel("x", keep="'")
    assert hash(Channel("x")) == hash(Channel("x"))


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"order": "sideways"}, "order"),
        ({"map": "lancaster"}, "map"),
        ({"min_length": 0}, "min_length"),
        ({"characters": "["}, "characters"),
        ({"characters": "a*"}, "characters"),
        ({"characters": r"[\s\w]"}, "characters"),
    ],
)
def test_a_wrong_definition_says_so(fields: dict[str, object], what: str) -> None:
    with pytest.raises(ChannelError, match=what):
        Channel("x", **fields)  # type: ignore[arg-type]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ChannelError, match="nltk, nltk-cased-stop"):
        get_channel("ntlk")
