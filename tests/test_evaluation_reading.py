"""The scorer's eyes: forms, gaps, marks, sentences and paragraphs of a text."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore.channel import channel_names, get_channel
from restore.evaluation.classes import WORD_CLASSES, word_class
from restore.evaluation.marks import MARKS, level
from restore.evaluation.reading import read

CASES = json.loads((Path(__file__).parent / "data" / "evaluation_readings.json").read_text(encoding="utf-8"))

PROSE = st.text(st.sampled_from("aAtThesU.S \n\r.,!?\"'\u2019\u201c-\u2014\u2026()3é$"), max_size=60)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["label"])
def test_reads(case: dict[str, Any]) -> None:
    reading = read(case["text"], get_channel(case.get("channel", "nltk")))
    assert [form.text for form in reading.forms] == case["forms"]
    assert [gap.words for gap in reading.gaps] == case["words"]
    assert [gap.marks for gap in reading.gaps] == case["marks"]
    if "sentences" in case:
        assert [len(gap.sentences) for gap in reading.gaps] == case["sentences"]
    if "paragraphs" in case:
        assert [gap.paragraphs for gap in reading.gaps] == case["paragraphs"]


def test_knows_which_tokens_start_sentences() -> None:
    text = "Officials met. In Paris they left. Rome! (Milan met.)\nTurin"
    reading = read(text, get_channel("nltk"))
    starts = [form.text for form in reading.forms if form.starts_sentence]
    assert starts == ["Officials", "Rome", "Milan", "Turin"]  # Paris stands after "In"


def test_places_sentences_at_their_first_mark() -> None:
    reading = read('Officials met. "In Paris," he said.', get_channel("nltk"))
    [at] = [at for gap in reading.gaps for at in gap.sentences]
    assert reading.text[at:] == '"In Paris," he said.'


@given(st.one_of(st.text(max_size=80), PROSE), st.sampled_from(channel_names()))
def test_reads_anything_without_losing_tokens(text: str, name: str) -> None:
    channel = get_channel(name)
    reading = read(text, channel)
    tokens = channel.tokens(text)
    assert [form.token for form in reading.forms] == [token.text for token in tokens]
    assert len(reading.gaps) == len(tokens) + 1
    for form, token in zip(reading.forms, tokens, strict=True):
        assert form.start <= token.start < token.end <= form.end
        assert form.text == reading.text[form.start : form.end]
    assert {mark for gap in reading.gaps for mark in gap.marks} <= set(MARKS)


@given(st.one_of(st.text(max_size=80), PROSE))
def test_levelling_moves_nothing(text: str) -> None:
    levelled = level(text)
    assert len(levelled) == len(text)
    assert all(new == old or not old.isalnum() for new, old in zip(levelled, text, strict=True))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("the", "determiner"), ("of", "preposition"), ("they", "pronoun"), ("was", "auxiliary"), ("'s", "auxiliary"),
        ("but", "conjunction"), ("not", "negation"), ("don't", "negation"), ("very", "other"), ("don", "other"),
    ],
)  # fmt: skip
def test_classes(word: str, expected: str) -> None:
    assert word_class(word) == expected


def test_every_word_of_the_table_has_one_known_class() -> None:
    table = json.loads(files("restore.evaluation").joinpath("word_classes.json").read_text(encoding="utf-8"))
    words = [word for listed in table["classes"].values() for word in listed]
    assert len(words) == len(set(words))
    assert set(table["classes"]) == set(WORD_CLASSES) - {"other"}
    assert all(word == word.lower() for word in words)
