"""Sense warnings: what is flagged, where, and what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from restore import Restoration, Restorer, strip_text
from restore.calibration import Rule
from restore.channel import get_channel
from restore.cues import REACH, Cues, keys
from restore.decisions import Decision
from restore.evaluation.sense import SenseCounts
from restore.flags import WORDS, Flag, FlagFinder, flag_words
from restore.lattice.gaps import Insertion, Place
from restore.posterior import Choice
from restore.training.cues import read_examples, train_cues

TEXT = "agency found compelling reason stop removal"


def finder(**rules: Rule) -> FlagFinder:
    return FlagFinder(rules, None, lambda word: True)


def nothing(place: int, start: int) -> Decision:
    return Decision("nothing", place, None, 0.5, 0.5, start, start + 1)


def test_a_probable_negation_is_flagged_in_its_gap() -> None:
    choice = Choice((((), 0.7),), (), {" no": 0.2, " not": 0.15, " the": 0.3})
    flags = list(finder(negation=Rule(threshold=0.3)).find([nothing(0, 6)], [choice], ["found"]))
    assert [(flag.kind, flag.start, flag.end, flag.alternatives) for flag in flags] == [
        ("negation", 6, 7, ("no", "not"))
    ]
    assert flags[0].probability == pytest.approx(0.35)
    assert not list(finder(negation=Rule(threshold=0.4)).find([nothing(0, 6)], [choice], ["found"]))


def test_what_is_put_in_is_flagged_with_what_else_it_may_be() -> None:
    after = Decision("word", 0, Insertion(" after", "word", Place.WORD), 0.6, 0.5, 4, 10)
    choice = Choice((), (), {" after": 0.6, " before": 0.2, " he": 0.1})
    (flag,) = finder().find([after], [choice], ["met"])
    assert (flag.kind, flag.start, flag.end, flag.alternatives) == ("direction", 5, 10, ("before",))
    assert "after" in flag.message


def test_quotation_marks_are_always_flagged() -> None:
    opened = Decision("pair", 0, Insertion(' "', "quote", Place.OPEN), 0.9, 0.9, 4, 6)
    closed = Decision("pair", 1, Insertion('"', "quote", Place.CLOSE), 0.9, 0.9, 10, 11)
    (flag,) = finder().find([opened, closed], [], [])
    assert (flag.kind, flag.start, flag.end) == ("quotation", 5, 11)


def test_what_the_channel_keeps_is_never_missed() -> None:
    said = (Path(__file__).resolve().parent.parent / "examples" / "transcript_stripped.txt").read_text(encoding="utf-8")
    assert any(word in said.split() for word in ("not", "he", "before"))
    result = Restorer(engine="fast", channel="transcript").restore(said)
    assert {flag.kind for flag in result.flags} <= {"quotation"}
    assert {flag.kind for flag in Restorer(engine="fast").restore(strip_text(result.text)).flags} > {"person"}


def test_flags_are_plain_data_within_the_text(fast: Restorer, seed_text: str) -> None:
    result = fast.restore(seed_text)
    assert result.flags
    assert list(result.flags) == sorted(result.flags, key=lambda flag: (flag.start, flag.end))
    for flag in result.flags:
        assert 0 <= flag.start < flag.end <= len(result.text)
        assert flag.message
    assert json.loads(json.dumps(result.to_dict()))["flags"][0]["kind"]


def test_what_stays_though_unsure_is_flagged() -> None:
    result = Restorer(engine="fast", min_confidence=1).restore(TEXT)
    uncertain = [flag for flag in result.flags if flag.kind == "uncertain"]
    assert [result.text[flag.start : flag.end] for flag in uncertain] == ["."]


def test_cues_learn_what_stands_around_a_negation(tmp_path: Path) -> None:
    rows = ["The agency did not find anything at the border.", "The agency found gold at the border in May."] * 60
    path = tmp_path / "text.txt"
    path.write_text("\n%%%\n".join(rows) + "\n%%%\n")
    train_cues([path], tmp_path / "cues")
    odds = Cues.open(tmp_path / "cues").log_odds(["agency", "find", "anything", "border"])["negation"]
    assert len(odds) == 5
    assert max(odds) == odds[1]
    flat = FlagFinder({"negation": Rule(0, 0, 1, threshold=0.3)}, Cues.open(tmp_path / "cues"), lambda word: True)
    choices = [Choice((((), 1.0),), (), {})] * 5
    words = ["agency", "find", "anything", "border"]
    found = list(flat.find([nothing(place, 9 * place) for place in range(5)], choices, words))
    assert [flag.place for flag in found if flag.kind == "negation"] == [1]


def test_examples_of_dropped_words() -> None:
    whole, start, label = read_examples("They don't agree; he never met us before May.", get_channel("nltk"))
    kept = label[REACH:-REACH]
    assert len(whole) == len(start) == len(label)
    assert [int(bits) for bits in kept] == [0b101, 0b100, 0, 0, 0b10]  # agree, never, met, u, may
    assert keys([])[0].size == 2 * REACH


def test_what_the_model_offers_counts_where_the_search_did_not_take_it() -> None:
    rules = {"negation": Rule(posterior_weight=0.0, offer_weight=1.0, threshold=0.2)}
    found = FlagFinder(rules, None, lambda word: True)
    for offers, flagged in (({" no": 0.15, " not": 0.1, " the": 0.6}, True), ({" not": 0.1}, False), ({}, False)):
        choice = Choice((((), 0.9),), (), {" the": 0.1}, offers)
        assert bool(list(found.find([nothing(0, 6)], [choice], ["found"]))) == flagged


def test_offers_are_probabilities_of_what_may_stand_there(fast: Restorer) -> None:
    result = fast.restore("official said plan work")
    assert all(chance > 0 for choice in result.choices for chance in choice.offers.values())
    before_plan = result.choices[2].offers
    assert before_plan[" the"] > before_plan[" they"] > 0
    assert " they" not in result.text


def test_counts_of_what_turned(fast: Restorer) -> None:
    counts = SenseCounts()
    result = fast.restore(TEXT)
    counts.add("The agency found no compelling reason to stop the removal.", result, fast.channel)
    row = counts.to_dict()["negation"]
    assert row["wanted"] == 1
    with pytest.raises(ValueError, match="strip"):
        counts.add("Another text.", result, fast.channel)


@pytest.mark.parametrize(
    ("original", "restored", "found"),
    [
        ("Officials not nor reason.", "Officials reason.", 0),
        ("Officials not nor reason.", "Officials no reason.", 1),
        ("Officials not nor reason.", "Officials nor not reason.", 2),
        ("Officials not reason.", "Officials nor no reason.", 1),
    ],
)
def test_a_word_put_in_makes_good_for_one_dropped(fast: Restorer, original: str, restored: str, found: int) -> None:
    counts = SenseCounts()
    counts.add(original, Restoration(restored, "official reason", ()), fast.channel)
    assert counts.restored["negation"] == found


@pytest.mark.parametrize(("place", "found"), [(0, (0, 0)), (1, (0, 1)), (2, (1, 1)), (3, (0, 1))])
def test_a_flag_one_gap_off_is_near(fast: Restorer, place: int, found: tuple[int, int]) -> None:
    counts = SenseCounts()
    flags = (Flag("negation", place, 0, 0, ""),)
    restored = Restoration("Officials say reason.", "official say reason", (), flags=flags)
    counts.add("Officials say no reason.", restored, fast.channel)
    assert (counts.either["negation"], counts.near["negation"]) == found


@pytest.mark.parametrize(
    ("original", "restored", "found"),
    [
        ("She lost her doll.", "He lost his doll.", {"she as he": 2}),
        ("She lost her doll.", "She lost his doll.", {"she as she": 1, "she as he": 1}),
        ("He lost the doll.", "She lost her doll.", {"he as she": 1}),
        ("They lost his doll.", "We lost their doll.", {}),
    ],
)
def test_women_taken_for_men_are_counted(fast: Restorer, original: str, restored: str, found: dict[str, int]) -> None:
    counts = SenseCounts()
    counts.add(original, Restoration(restored, "lost doll", ()), fast.channel)
    assert counts.genders == found


def test_the_table_of_words() -> None:
    words = flag_words()
    assert set(words) == set(WORDS)
    assert words["direction"]["before"] == ("after",)
    assert "for" not in words["direction"]
    assert all(word == word.lower() for table in words.values() for word in table)
