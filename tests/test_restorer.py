"""The front door: what a restorer makes of texts of all kinds, with the engine that comes with restore."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from restore import Config, RestoreError, Restorer, restore_text, search, strip_text
from restore.decoder import Pin
from restore.engines import open_model
from restore.models.base import LanguageModel


def test_restores_the_article(fast: Restorer, seed_text: str) -> None:
    result = fast.restore(seed_text)
    repaired = seed_text
    for repair in reversed(result.repairs):
        repaired = repaired[: repair.source_start] + repair.after + repaired[repair.source_end :]
    kept = {kept.text for kept in result.kept}
    # What was kept are stop words, which stripping drops.
    assert strip_text(result.text).split() == [word for word in repaired.split() if word not in kept]
    assert kept == {"they", "but", "she", "the"}
    assert result.replay() == result.text
    assert result.undo() == seed_text
    assert "non-citizens" in result.text
    assert "6,000 men" in result.text
    assert "Padilla" in result.text


def test_reads_like_prose(fast: Restorer) -> None:
    text = fast.restore("official said monday president met prime minister first time since end war new york").text
    assert text[0].isupper()
    assert text[-1] in ".?!"
    assert "Monday" in text
    assert "New York" in text
    assert len(text.split()) > 15


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("contact press@agency.example official said", "press@agency.example"),
        ("see https://example.com/a?b=c&d=e official said", "https://example.com/a?b=c&d=e"),
        ("official 😀 said", "😀"),
        ("official москва said", "москва"),
        ("café owner said", "café"),
        ("price 6,000 dollar", "6,000"),
        ("Padilla said ICE", "ICE"),
        ("official \x07 said", "\x07"),
        ("official said; minister left", "said;"),
        ("bell \u202e rang", "\u202e"),
    ],
)
def test_what_the_input_still_has_stays(fast: Restorer, text: str, stays: str) -> None:
    result = fast.restore(text)
    assert stays in result.text
    assert result.undo() == text


def test_given_sentence_ends_start_sentences(fast: Restorer) -> None:
    assert re.search(r"said\.\s\W*[A-Z]", fast.restore("official said. minister left").text)


def test_blank_lines_end_paragraphs(fast: Restorer) -> None:
    text = fast.restore("official said monday\n\nminister left friday").text
    first, second = text.split("\n\n")
    assert first[-1] in ".?!"
    assert second[0].isupper()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("government said u n would begin talk monday", "U.N. would"),
        ("police said francisco p rez arrested monday", "Francisco P\u00e9rez"),
    ],
)
def test_a_form_of_several_tokens_has_the_posterior_of_all_its_paths(fast: Restorer, text: str, wanted: str) -> None:
    result = fast.restore(text)
    assert wanted in result.text
    place = text.split().index("u" if "U.N." in wanted else "p")
    choice = result.choices[place]
    ((form, span),) = choice.spans.items()
    assert span == 2
    assert dict(choice.forms)[form] > 0.9


def test_a_call_that_fails_leaves_the_next_alone() -> None:
    script = (
        "from restore import restore_text, RestoreError\n"
        "from restore.bundle import resources_folder\n"
        "try:\n    restore_text('official said', engine='neural', model=resources_folder() / 'ngram')\n"
        "except RestoreError:\n    print(restore_text('official said', engine='fast').text)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert strip_text(done.stdout).split() == ["official", "said"], done.stderr


def test_a_joint_form_ends_with_its_paragraph() -> None:
    text = "minister left u\n\nk government said"
    assert "\n\nK" in Restorer(engine="fast", repair=False).restore(text).text
    assert "\n\nYork" in Restorer(engine="fast", terms=("New York",)).restore("law was new\n\nyork official said").text


def test_an_abbreviations_full_stop_ends_its_sentence(fast: Restorer) -> None:
    pins = {2: Pin(gap=","), 3: Pin(form="D.C."), 6: Pin(form="U.S."), 7: Pin(gap="\n")}
    restored = fast.restore("senator lived washington c\n\nofficial left u\n\nofficial said", pins=pins).text
    assert "D.C.\n\n" in restored
    assert "U.S.\n\n" in restored
    assert ".." not in restored


def test_line_breaks_and_outer_white_space_stay(fast: Restorer) -> None:
    assert re.fullmatch(r"  \S.*\S\n\S.*\S\n", fast.restore("  official said\nminister left\n").text, re.DOTALL)


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_nothing_gives_nothing(fast: Restorer, text: str) -> None:
    result = fast.restore(text)
    assert (result.text, result.edits) == (text, ())
    assert result.notes


def test_text_that_was_not_stripped_is_returned(fast: Restorer) -> None:
    text = "The agency said that it had found no reason to stop the removal of the men in the country."
    result = fast.restore(text)
    assert result.text == text
    assert "not stripped" in result.notes[0]


def test_many_in_order_and_from_threads(fast: Restorer) -> None:
    texts = [f"official {number} said week" for number in range(12)]
    one_by_one = [result.text for result in fast.restore_many(texts)]
    with ThreadPoolExecutor(4) as pool:
        assert [result.text for result in pool.map(fast.restore, texts)] == one_by_one


def test_texts_are_taken_as_they_are_needed(fast: Restorer) -> None:
    taken = []

    def texts() -> Iterator[str]:
        for number in range(9):
            taken.append(number)
            yield f"official {number} said week"

    results = fast.restore_many(texts())
    for number in range(3):
        assert next(results).source == f"official {number} said week"
        assert taken[-1] == number


@pytest.mark.parametrize("together", [None, 1, 2, 3, 50])
def test_texts_of_all_lengths_come_in_order(together: int | None) -> None:
    fast = Restorer(engine="fast", beam=1, confidence=False)
    texts = ["official said week", "", "party " * 500, "said", "The man of the house had to be at the door of it.", "week"]
    assert [result.source for result in fast.restore_many(texts * 2, together)] == texts * 2
    assert list(fast.restore_many([], together)) == []


def test_long_texts_are_cut_without_a_trace(seed_text: str) -> None:
    text = " ".join([seed_text] * 3)
    result = Restorer(engine="fast", beam=1, confidence=False).restore(text)
    assert result.undo() == text
    assert len(result.spans) == len(text.split()) + sum(repair.kind == "glued" for repair in result.repairs)


@pytest.mark.parametrize("most", [0, 3])
def test_however_little_is_remembered_there_is_a_way_to_the_end(
    fast: Restorer, seed_text: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_ARCS", most)
    text = " ".join(seed_text.split()[:40])
    assert fast.channel.strip(fast.restore(text).text) == text


def test_options_by_name_or_config() -> None:
    assert restore_text("u official said").text == restore_text("u official said", Config()).text
    assert restore_text("he didn't go", channel="transcript").text[:2] == "He"


@pytest.mark.parametrize("options", [{"engine": "slow"}, {"beam": 0}, {"channel": "none"}])
def test_wrong_options(options: dict[str, object]) -> None:
    with pytest.raises(RestoreError):
        Restorer(**options)


def test_confidence_and_alternatives(fast: Restorer) -> None:
    result = fast.restore("official said monday president met minister")
    assert {edit.kind for edit in result.edits} >= {"inflected", "recased", "inserted"}
    for edit in result.edits:
        every = [other.text.strip() for other in result.alternatives(edit, 50)]
        if edit.kind == "inserted":  # its gap as a whole may hold more than this
            assert any(edit.after.strip() in text for text in every)
        else:
            assert edit.after in every
            assert all(strip_text(f"{text} table").split()[0] == edit.before for text in every)
        assert edit.confidence is not None
        assert 0 < edit.confidence <= 1
        alternatives = result.alternatives(edit, 3)
        assert [other.probability for other in alternatives] == sorted(
            (other.probability for other in alternatives), reverse=True
        )
    assert 0 < result.confidence <= 1


def test_auto_restores_by_the_channel_that_it_finds() -> None:
    prose = (
        "The officials said they didn't find anything. I don't know what she told him, "
        "but he wasn't happy when we came back to the old house."
    )
    said = strip_text(prose, "transcript")
    whole = "The officials said that they had found no reason to stop it. He left."
    auto = Restorer(engine="fast", channel="auto")
    found = list(auto.restore_many([said, whole, strip_text(whole * 3)]))
    assert [one.channel for one in found] == ["transcript", "readable", "nltk"]
    assert found[0].text == Restorer(engine="fast", channel="transcript").restore(said).text
    assert found[1].text == whole
    assert "returned unchanged" in found[1].notes[0]
    notes: list[str] = []
    assert "".join(auto.stream(said, notes)) == found[0].text
    assert "transcript channel" in notes[0]


def test_auto_opens_one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def opening(engine: str, *folder: Any) -> LanguageModel:
        opened.append(engine)
        return open_model(engine, *folder)

    monkeypatch.setattr("restore.restorer.open_model", opening)
    Restorer(engine="fast", channel="auto", repair=False).restore("minister resigned monday official said")
    assert opened == ["fast"]


@pytest.mark.parametrize("channel", ["transcript", "lower"])
def test_prose_that_no_such_channel_made_is_returned_with_a_note(channel: str) -> None:
    prose = (
        "The officials said they didn't find anything. I don't know what she told him, "
        "but Mr. Brown wasn't happy when we came back to the old house in Leeds."
    )
    restorer = Restorer(engine="fast", channel=channel)
    found = restorer.restore(prose)
    assert found.text == prose
    assert f"which the {channel} channel takes away" in found.notes[0]
    notes: list[str] = []
    assert "".join(restorer.stream(prose, notes)) == prose
    assert tuple(notes) == found.notes
    said = restorer.restore(restorer.channel.strip(prose))
    assert said.notes == ()
    assert said.text != said.source


def test_a_text_ends_where_its_words_do(shy: Restorer) -> None:
    prose = shy.restore("minister said government resigned", {2: Pin(gap=', "')}).text
    assert prose.endswith(('"', '".'))
    assert not any(char.isalpha() for char in prose.rpartition("resigned")[2])


def test_there_are_no_alternatives_without_confidences() -> None:
    result = Restorer(engine="fast", confidence=False).restore("u immigration official")
    assert result.edits
    assert [result.alternatives(edit) for edit in result.edits] == [()] * len(result.edits)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('"why?" he asked.', '"Why?" he asked.'),
        ("apple inc. said it won.", "Apple Inc. said it won."),
        ("he met the president (obama) there.", "(Obama)"),
        ("he left... and came back.", "... and came back."),
    ],
)
def test_capitals_where_marks_are_given(text: str, wanted: str) -> None:
    assert wanted in Restorer(channel="lower", engine="fast").restore(text).text
