"""The promise: stripping the restored text gives the input back, whatever the model thinks.

Fresh samples each run, 25 a test or as many as RESTORE_EXAMPLES says; a failure prints the seed that repeats it
(`pytest --hypothesis-seed=N`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from restore import Channel, Restoration, Restorer, Style, channel_names
from restore.lexicon import default_lexicon
from restore.source import read_source

Maker = Callable[[str, int], Restorer]

HOSTILE = [
    "they", "being", "can", "us", "u", "uses", "s", "don", "I", "café", "Orfèvres", "AT&T", "o'rourke", "6", "000", "2014",
    "a.m.", "U.S.", "a@b.example", "https://example.com/a?b=c", "İ", "nearlİy", "ß", "ﬁ", "Ǆ", "東京", "😀", "\u202e", "\u0301",
    "-", "--", "'", '"', "(", ")", "...", "non-violent", "rock'n'roll", "'tis", "x'", "\x07", "\u2028", "men's", "polici",
    "aes", "ies", "ss", "oused", "ational", "<script>", "\\", "%%%", "mcdonald", "iphone", "4th", "covid19", "a" * 80, "ves",
    "wa", "ha",
]  # fmt: skip

LEXICON = default_lexicon()
real = st.integers(0, len(LEXICON) - 1).map(lambda index: LEXICON.entry(index).form)
frequent = st.sampled_from([entry.form for entry in LEXICON.frequent(3000)])
marks = st.sampled_from(
    [", ", ". ", " ", " - ", "-", "\n", "\n\n", "'s ", '" ', ' "', " (", ") ", ": ", "/", ".", ",", "\t"]
)
prose = st.lists(st.tuples(st.one_of(real, frequent, st.sampled_from(HOSTILE)), marks), max_size=12).map(
    lambda pairs: "".join(word + mark for word, mark in pairs)
)
anything = st.one_of(prose, st.text(max_size=40))
strings = st.one_of(
    st.lists(st.one_of(real, frequent, st.sampled_from(HOSTILE), st.text(max_size=8)), max_size=12).map(" ".join),
    anything,
)
EXAMPLES = int(os.environ.get("RESTORE_EXAMPLES", "25"))
thorough = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])


def check_history(result: Restoration) -> None:
    assert result.replay() == result.text
    assert result.undo() == result.source
    assert [edit.source_start for edit in result.edits] == sorted(edit.source_start for edit in result.edits)
    for edit in result.edits:
        assert result.source[edit.source_start : edit.source_end] == edit.before
        assert result.text[edit.start : edit.end] == edit.after


@pytest.mark.parametrize("name", channel_names())
@thorough
@example(text="nearl\u0130y \u0130", beam=2)
@given(text=anything, beam=st.sampled_from([2, 3]))
def test_stripping_the_restored_text_gives_the_input(name: str, by_chance: Maker, text: str, beam: int) -> None:
    restorer = by_chance(name, beam)
    stripped = restorer.channel.strip(text)
    result = restorer.restore(stripped)
    assert restorer.channel.strip(result.text) == stripped
    assert result.kept == ()
    check_history(result)


OWN = {
    "case is kept": Channel("own", lowercase=False, stop_words=frozenset({"the", "of", "it"})),
    "3.5 is a number": Channel("own", stop_words=frozenset({"the"}), characters=r"[A-Za-z0-9]|(?<=[0-9])[.,:](?=[0-9])"),
    "covid-19 is a word": Channel("own", stop_words=frozenset({"the"}), characters=r"[A-Za-z0-9]|(?<=[A-Za-z])-(?=[0-9])"),
    "stems may be empty": Channel("own", stop_words=frozenset({"the"}), characters="[A-Za-z0-9']", map="snowball"),
    "apostrophes are kept": Channel("own", keep="'", stop_words=frozenset({"the", "didn't", "it's"})),
}


@pytest.mark.parametrize("name", OWN)
@thorough
@example(text="ICE raid ice ICE ice ICE", beam=3)
@example(text="it said. it left covid 19 he''s ''s home", beam=3)
@example(text="rate rose 3 5 percent paid 6 000 dollar", beam=3)
@given(text=anything, beam=st.sampled_from([2, 3]))
def test_channels_of_ones_own(name: str, text: str, beam: int) -> None:
    restorer = own_restorer(name, beam)
    stripped = restorer.channel.strip(text)
    result = restorer.restore(stripped)
    assert restorer.channel.strip(result.text) == stripped
    check_history(result)


@lru_cache
def own_restorer(name: str, beam: int) -> Restorer:
    return Restorer(engine="fast", channel=OWN[name], beam=beam, repair=False, style=Style(quotes="curly", dash="spaced"))


@pytest.mark.parametrize("name", channel_names())
@thorough
@example(text="/\u00b5", beam=2)
@example(text="polici polici", beam=2)
@given(text=strings, beam=st.sampled_from([2, 3]))
def test_any_string_keeps_its_tokens(name: str, by_chance: Maker, text: str, beam: int) -> None:
    restorer = by_chance(name, beam)
    result = restorer.restore(text)
    check_history(result)
    if not result.spans:  # nothing to restore, as a note says
        assert result.notes
        assert result.text == text
        return
    channel = restorer.channel
    tokens = list(read_source(text, channel))
    assert [token.text for token in tokens] == text.split()
    assert len(result.spans) == len(tokens)
    assert [span.start for span in result.spans] == sorted(span.start for span in result.spans)
    kept = {place.source_start: place for place in result.kept}
    rest = list(result.text)
    expected = []
    for token, span in zip(tokens, result.spans, strict=True):
        shown = result.text[span.start : span.end]
        if token.start in kept:
            assert shown.lower() == token.text.lower()
            rest[span.start : span.end] = " " * (span.end - span.start)
        else:
            word = token.core.lower() if channel.lowercase else token.core
            expected.append(word)
            if span.source_end == token.end and span.source_start == token.start:
                assert channel.strip(shown) == word
    assert channel.strip("".join(rest)) == " ".join(expected)
