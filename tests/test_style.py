"""The user's say: terms, pins, house style; and one spelling a document."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restore import InputError, Pin, RestoreError, Restorer, restore_text, strip_text
from restore.casing import Casing
from restore.decoder import Step
from restore.lattice import Form, Insertion, Place, Position
from restore.lexicon import default_lexicon
from restore.posterior import Choice
from restore.style import Lists, Style
from restore.terms import read_terms

TEXT = "week immigration custom enforcement found compelling reason stop removal non citizen ice said cair coalition"
CURLY = (Style(), Style(quotes="curly"))
TERMS = ("ICE", "Immigration and Customs Enforcement", "non-citizen", "CAIR Coalition")


def test_terms_are_written_as_asked() -> None:
    text = Restorer(engine="fast", terms=TERMS).restore(TEXT).text
    for term in TERMS:
        assert term in text
    assert strip_text(text) == TEXT


def test_terms_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "terms.txt"
    path.write_text("\ufeff# names\nICE\n\n  # CAIR: said\n  CAIR Coalition \n", encoding="utf-8")
    assert read_terms(str(path)) == ("ICE", "CAIR Coalition")
    with pytest.raises(InputError, match="cannot be read"):
        read_terms(str(tmp_path / "none.txt"))


def test_options_of_the_wrong_kind_are_told() -> None:
    assert restore_text("official said", engine="fast", terms=["ICE"]).text == restore_text("official said", engine="fast").text
    with pytest.raises(RestoreError, match="terms 'ICE' is one string"):
        Restorer(terms="ICE")
    with pytest.raises(RestoreError, match="'curly' is no style"):
        Restorer(style="curly")


def test_a_list_may_go_on_in_the_next_stretch() -> None:
    """Prose that streams is styled window by window."""
    comma, conjunction = Insertion(",", "mark", Place.COMMA), Insertion(" and", "word", Place.WORD)
    forms = [Form(name, 1, 0.0, 0.0) for name in ("Italy", "Spain", "France")]
    for serial, units in (
        (True, [forms[0], comma, forms[1], conjunction, forms[2]]),
        (False, [forms[0], comma, forms[1], comma, conjunction, forms[2]]),
    ):
        style, lists = Style(serial_comma=serial), Lists()
        whole = style.apply(units, str.__eq__)
        assert [unit.text for unit in whole].count(",") == 1 + serial
        cut = units.index(forms[1]) + 1
        assert style.apply(units[:cut], str.__eq__, lists) + style.apply(units[cut:], str.__eq__, lists) == whole


def test_a_term_that_the_channel_drops_is_refused() -> None:
    with pytest.raises(InputError, match="AT&T"):
        Restorer(engine="fast", terms=("AT&T",)).restore("official said")


def test_a_pin_fixes_one_place(fast: Restorer) -> None:
    place = TEXT.split().index("compelling")
    result = fast.restore(TEXT, pins={place: Pin(gap=" no", form="compelling"), place + 1: Pin(form="reasons")})
    assert "no compelling reasons" in result.text
    assert strip_text(result.text) == TEXT
    assert result.undo() == TEXT


def test_a_pin_can_leave_a_gap_empty(fast: Restorer) -> None:
    result = fast.restore(TEXT, pins={place: Pin(gap="") for place in range(1, len(TEXT.split()))})
    assert len(result.text.split()) <= len(TEXT.split()) + 2


@pytest.mark.parametrize("pin", [Pin(form="nonsense"), Pin(gap=" official"), Pin(gap=" and;;")])
def test_a_pin_that_cannot_stand_is_refused(fast: Restorer, pin: Pin) -> None:
    with pytest.raises(InputError, match="token 3"):
        fast.restore(TEXT, pins={3: pin})


@pytest.mark.parametrize("word", ["been", "didn't", "can't", "them", "then", "there", "against", "off", "too"])
def test_any_dropped_word_can_be_pinned_anywhere(fast: Restorer, word: str) -> None:
    """Shorter words that it begins with (be, the, of) must not take its place in the beam."""
    text = "official said agency found compelling reason"
    for place in (1, 3, 5):
        assert f" {word} {text.split()[place][:4]}" in fast.restore(text, pins={place: Pin(gap=f" {word}")}).text


def test_pins_at_the_end(fast: Restorer) -> None:
    text = "official said agency found compelling reason"
    assert fast.restore(text, pins={6: Pin(gap="?")}).text.endswith("reason?")
    assert fast.restore(text, pins={6: Pin(gap="")}).text[-1].isalpha()
    for place, pin in ((7, Pin(gap="?")), (-1, Pin(gap="")), (6, Pin(form="reason")), (6, Pin(gap=" official"))):
        with pytest.raises(InputError, match=f"token {place}"):
            fast.restore(text, pins={place: pin})


def test_pins_hold_against_joint_forms_and_votes(fast: Restorer) -> None:
    text, restorer = "u k government minister said russia", Restorer(engine="fast", repair=False, terms=("U.K.",))
    assert "U.K. government" in restorer.restore(text).text
    assert " k government" in restorer.restore(text, pins={1: Pin(form="k")}).text
    ice = "ice raid began ice agent arrested men ice said lake ice melted ice official"
    pins = {place: Pin(form="ice" if place == 10 else "ICE") for place, word in enumerate(ice.split()) if word == "ice"}
    text = fast.restore(ice, pins=pins).text
    assert "lake ice melted" in text
    assert text.count("ICE") == 4


def same(one: str, other: str) -> bool:
    return strip_text(one) == strip_text(other)


def units(*texts: str) -> list[Form | Insertion]:
    """Words are forms, `+word` and marks are insertions."""
    made: list[Form | Insertion] = []
    for text in texts:
        if text[0].isalnum():
            made.append(Form(text, 1, 0.0, 0.0))
        else:
            place = {' "': Place.OPEN, "\u2014": Place.DASH, '."': Place.END_CLOSE}.get(text, Place.WORD)
            kind = "word" if text[-1].isalpha() else "mark"
            made.append(Insertion(text.replace("+", " ").replace(">", ""), kind, place))
    return made


@pytest.mark.parametrize(
    ("style", "before", "after"),
    [
        (Style(abbreviations="dotted"), ["US", "officials"], "U.S.|officials"),
        (Style(abbreviations="plain"), ["U.S.", "officials"], "US|officials"),
        (Style(abbreviations="plain"), ["the", "U.S."], "the|US|."),
        (Style(quotes="curly"), ["said", ' "', "go", '"'], "said| \u201c|go|\u201d"),
        (Style(quotes="curly"), ["O'Rourke", "'s", "aide"], "O\u2019Rourke|\u2019s|aide"),
        (Style(dash="spaced"), ["men", "\u2014", "women"], "men| \u2014|women"),
        (Style(dash="spaced"), ["men", "\u2014", "the", "women"], "men| \u2014|the|women"),
        (Style(dash="spaced"), ["men", "\u2014", ">the", "women"], "men| \u2014| the|women"),
        (Style(dash="tight"), ["men", " \u2014", "+the", "women"], "men|\u2014|the|women"),
        (Style(abbreviations="dotted"), ["US", "."], "U.S|."),
        (Style(serial_comma=True), ["red", ",", "white", "+and", "blue"], "red|,|white|,| and|blue"),
        (Style(serial_comma=False), ["red", ",", "white", ",", "+and", "blue"], "red|,|white| and|blue"),
        (Style(serial_comma=True), ["bread", "+and", "butter"], "bread| and|butter"),
        (Style(serial_comma=True), ["pears", ",", "apples", '."', "Tom", "+and", "Ann"], 'pears|,|apples|."|Tom| and|Ann'),
        (Style(), ["US", "\u2014", "O'Rourke"], "US|\u2014|O'Rourke"),
    ],
)
def test_house_style(style: Style, before: list[str], after: str) -> None:
    assert "|".join(unit.text for unit in style.apply(units(*before), same)) == after


def test_a_styled_form_must_strip_to_the_same() -> None:
    styled = Style(quotes="curly").apply(units("don't"), lambda one, other: one == other)
    assert styled[0].text == "don't"


def test_what_the_style_changes_is_looked_up_as_it_was() -> None:
    """The same confidences, flags and readings, whatever the apostrophes look like."""
    text, pins = "official said people know reason michelle", {3: Pin(gap=" don't"), 5: Pin(gap="'s")}
    plain, curly = (Restorer(engine="fast", repair=False, style=style).restore(text, pins=pins) for style in CURLY)
    assert "don\u2019t know the reason\u2019s" in curly.text
    assert [(one.kind, one.posterior) for one in curly.decisions] == [(one.kind, one.posterior) for one in plain.decisions]
    assert [flag.kind for flag in curly.flags] == [flag.kind for flag in plain.flags]
    mine, theirs = (result.nbest(2)[-1] for result in (curly, plain))
    assert [reading.probability for reading in mine] == [reading.probability for reading in theirs]


@pytest.mark.parametrize("options", [{"quotes": "round"}, {"dash": "long"}, {"abbreviations": "us"}])
def test_an_unknown_style_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(RestoreError, match="style"):
        Style(**options)  # type: ignore[arg-type]


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["nltk", "transcript"]),
    st.builds(
        Style,
        abbreviations=st.sampled_from([None, "plain", "dotted"]),
        quotes=st.sampled_from([None, "curly"]),
        dash=st.sampled_from([None, "spaced", "tight"]),
        serial_comma=st.sampled_from([None, True, False]),
    ),
)
def test_style_keeps_the_promise(channel: str, style: Style) -> None:
    text = strip_text("The U.S. aide's list, O'Rourke said, held red, white and blue: don't go.", channel)
    result = Restorer(engine="fast", channel=channel, style=style, repair=False).restore(text)
    assert strip_text(result.text, channel) == text
    assert result.undo() == text


def steps(*forms: str) -> tuple[list[Step], list[Choice]]:
    made = [Step(None, Form(text, 1, 0.0, 0.0), " " + text, Position(Place.WORD, initial=False)) for text in forms]
    return made, [Choice((), ((text, 0.7), (text.upper(), 0.3)), {}) for text in forms]


def test_one_document_has_one_spelling() -> None:
    casing = Casing(default_lexicon(), same)
    walked, choices = steps("The", "Hrw", "said", "HRW", "and", "HRW")
    casing.observe(walked, choices)
    assert [unit.text for unit in casing.settled(walked)] == ["The", "HRW", "said", "HRW", "and", "HRW"]


def test_a_sentence_starts_with_the_same_spelling() -> None:
    casing = Casing(default_lexicon(), same)
    walked, choices = steps("Hrw", "said", "HRW", "said", "go", "and", "Go")
    casing.observe(walked, choices)
    ended = [Step(None, step.what, step.text, Position(Place.END, initial=True)) for step in walked]
    assert [unit.text for unit in casing.settled([ended[1], walked[0], ended[1], walked[6]])][1::2] == ["HRW", "Go"]


def test_ordinary_words_are_cased_by_their_place() -> None:
    casing = Casing(default_lexicon(), same)
    walked, choices = steps("The", "Department", "of", "department", "Department")
    casing.observe(walked, choices)
    assert [unit.text for unit in casing.settled(walked)][1:] == ["Department", "of", "department", "Department"]


def test_rare_words_are_cased_by_their_document() -> None:
    """The lexicon has too few of them to know that they are names."""
    casing = Casing(default_lexicon(), same)
    walked, choices = steps("Cedillo", "Pereira", "said", "pereira", "'s", "Pereira")
    casing.observe(walked, choices)
    assert [unit.text for unit in casing.settled(walked)] == ["Cedillo", "Pereira", "said", "Pereira", "'s", "Pereira"]


def test_an_abbreviation_has_its_full_stops_throughout_a_document() -> None:
    casing = Casing(default_lexicon(), lambda one, other: strip_text(one, "nltk") == strip_text(other, "nltk"))
    words = ["In", "the", "U.S.", "and", "US", "UK", "U.S.", "U.S."]
    walked, _ = steps(*words)
    choices = [Choice((), (("U.S.", 0.6), ("US", 0.4)) if word in ("US", "U.S.") else ((word, 1.0),), {}) for word in words]
    casing.observe(walked, choices)
    assert [unit.text for unit in casing.settled(walked)] == ["In", "the", "U.S.", "and", "U.S.", "UK", "U.S.", "U.S."]
    us = [walked[4], walked[3], walked[4]]
    ended = Step(None, Insertion(".", "mark", Place.END), ".", Position(Place.END, initial=True))
    settled = [unit.text for unit in casing.settled([us[0], ended, *us])]
    assert settled == ["US", ".", "U.S.", "and", "US"]  # one full stop too many where a sentence ends, or may end


@pytest.mark.parametrize("style", [Style(serial_comma=False), Style(serial_comma=True), Style(abbreviations="dotted")])
def test_streaming_gives_the_same_style(style: Style) -> None:
    text = "\n\n".join(["minister visited france germany italy", "president left us"] * 45)
    restorer = Restorer(engine="fast", repair=False, confidence=False, style=style)
    assert "".join(restorer.stream(text)).lower() == restorer.restore(text).text.lower()


def test_streaming_gives_the_same_text(seed_text: str) -> None:
    text = " ".join([seed_text] * 2)
    fast = Restorer(engine="fast", beam=2, repair=False, confidence=False)
    pieces = list(fast.stream(text))
    assert len(pieces) > 2
    # Casing is settled on what has been seen so far, so only capitals may differ.
    assert "".join(pieces).lower() == fast.restore(text).text.lower()
