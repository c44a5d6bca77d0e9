"""The scores, against hand-worked cases, sacrebleu and their own definitions."""

from __future__ import annotations

import json
import math
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from restore.channel import get_channel, strip_text
from restore.errors import InputError
from restore.evaluation import METRICS, compare, read_result, score
from restore.evaluation.align import differences, match_tokens
from restore.evaluation.counts import COLUMNS
from restore.evaluation.reading import read
from restore.evaluation.scores import resample
from restore.evaluation.whole import segments, word_errors

CASES = json.loads((Path(__file__).parent / "data" / "evaluation_scores.json").read_text(encoding="utf-8"))

ORIGINALS = [
    "The officials met in Paris, but they left. Who won?",
    "It isn't known whether the U.S. will pay $6,000 for it.\nMcCain said so.",
    "\u201cWe\u2019re non-violent,\u201d they said; nobody replied!",
]
WORSE = [
    "Officials met in the Paris. They left. Who won.",
    "It known whether US pay 6 000. Mccain said so.",
    "We non violent, they said nobody replied.",
]
WORDS = st.sampled_from([
    "the", "of", "Paris", "officials", "met.", "left,", "U.S.", "it's", "non-violent", "6,000", "\u201cWho\u201d",
    "(men)", "Rome!\n", "and",
])  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["label"])
def test_hand_worked(case: dict[str, Any]) -> None:
    result = score([case["original"]], [case["restored"]], case.get("channel", "nltk"))
    found = {name: result.scores[name].value for name in case["scores"]}
    expected = {name: math.nan if value is None else value for name, value in case["scores"].items()}
    assert found == pytest.approx(expected, abs=0.005, nan_ok=True)


def test_scores_are_micro_averages() -> None:
    result = score(["Officials, met", "Rome, Milan, Turin"], ["Officials, met", "Rome Milan, Turin"])
    assert result.scores["comma_recall"].value == pytest.approx(100 * 2 / 3)  # not the mean of 1 and 1/2


def test_lost_sentences_are_sentences() -> None:
    text = "Officials met. Ministers agreed. Prices rose."
    assert score([text, text], [text, ""], "nltk", resamples=1).scores["exact_sentence"].value == 50
    partly = score([text], ["Officials met. Prices rose."], "nltk", resamples=1).scores["exact_sentence"].value
    assert partly < 67  # the sentence that was lost is none of two


def test_confusion_of_cases() -> None:
    result = score(["US officials met in Paris"], ["Us officials Met in paris"])
    assert result.confusion["upper"] == {"lower": 0, "title": 1, "upper": 0, "mixed": 0}
    assert result.confusion["lower"] == {"lower": 1, "title": 1, "upper": 0, "mixed": 0}
    assert result.confusion["title"] == {"lower": 1, "title": 0, "upper": 0, "mixed": 0}


@given(st.lists(WORDS, max_size=30).map(" ".join), st.sampled_from(["nltk", "transcript", "stemmed"]))
def test_a_text_is_all_right_beside_itself(text: str, channel: str) -> None:
    text += " The officials met in Paris."  # BLEU is 0 where no sentence has four words
    for name, found in score([text], [text], channel, resamples=2).scores.items():
        wanted = 0 if name.startswith(("wer", "promise", "words_")) else 100
        assert math.isnan(found.value) or found.value == pytest.approx(wanted), name


@given(st.lists(WORDS, max_size=30).map(" ".join), st.lists(WORDS, max_size=30).map(" ".join))
def test_any_two_texts_can_be_scored(original: str, restored: str) -> None:
    result = score([original], [restored], resamples=2)
    for metric in METRICS:
        value = result.scores[metric.name].value
        assert math.isnan(value) or value >= 0
        assert math.isnan(value) or metric.unit != "%" or metric.name == "wer" or value <= 100 + 1e-9, metric.name
    sums = dict(zip(COLUMNS, result.rows[0], strict=True))
    for group in ("word", "mark.comma", "mark.stop", "sentence", "capital", "capital.inner"):
        assert sums[f"{group}.match"] <= min(sums[f"{group}.system"], sums[f"{group}.reference"])
    tokens = len(strip_text(original).split())
    assert sums["token.lost"] + sums["token.changed"] + sums["token.reordered"] <= tokens == sums["form.total"]


def test_chrf_and_bleu_are_sacrebleus() -> None:
    channel = get_channel("nltk")
    pairs = []
    for original, restored in zip(ORIGINALS, WORSE, strict=True):
        left, right = read(original, channel), read(restored, channel)
        matches = match_tokens([form.token for form in left.forms], [form.token for form in right.forms])
        pairs += segments(left, right, matches)
    references, outputs = [ours for ours, _ in pairs], [theirs for _, theirs in pairs]
    result = score(ORIGINALS, WORSE)
    assert len(pairs) == 5
    assert result.scores["chrf"].value == pytest.approx(CHRF().corpus_score(outputs, [references]).score)
    assert result.scores["bleu"].value == pytest.approx(BLEU().corpus_score(outputs, [references]).score)


def test_bleu_smooths_as_sacrebleu() -> None:
    original, restored = "Officials met the mayors", "Officials met a mayor"  # no 3-gram matches
    expected = BLEU().corpus_score([restored], [[original]]).score
    assert expected > 0
    assert score([original], [restored]).scores["bleu"].value == pytest.approx(expected)


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_word_errors_are_the_edit_distance(left: list[str], right: list[str]) -> None:
    table = np.zeros((len(left) + 1, len(right) + 1), dtype=int)
    table[:, 0], table[0] = range(len(left) + 1), range(len(right) + 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            table[i + 1, j + 1] = min(table[i, j] + (a != b), table[i, j + 1] + 1, table[i + 1, j] + 1)
    assert word_errors(left, right) == table[-1, -1]


@given(st.lists(st.sampled_from("abcd"), max_size=10), st.lists(st.sampled_from("abcd"), max_size=10))
def test_matching_is_a_longest_common_subsequence(left: list[str], right: list[str]) -> None:
    pairs = match_tokens(left, right)
    assert all(left[i] == right[j] for i, j in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))
    best = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            best[i + 1][j + 1] = best[i][j] + 1 if a == b else max(best[i][j + 1], best[i + 1][j])
    assert len(pairs) == best[-1][-1]
    found = differences(left, right, pairs)
    assert len(pairs) + found.lost + found.changed + found.reordered == len(left)
    assert len(pairs) + found.invented + found.changed + found.reordered == len(right)


def test_long_damaged_texts_align_in_time() -> None:
    generator = np.random.default_rng(0)
    words = [f"w{number}" for number in generator.zipf(1.3, 40_000) % 5000]
    keep = generator.random(len(words)) > 0.1
    damaged = [word for word, kept in zip(words, keep, strict=True) if kept]
    start = time.process_time()
    pairs = match_tokens(words, damaged)
    assert time.process_time() - start < 20
    assert len(pairs) > 0.999 * len(damaged)


def test_scoring_is_quick() -> None:
    originals = [f"{ORIGINALS[index % 3]} In {index} they met officials." for index in range(700)]
    restored = [f"{WORSE[index % 3]} The {index} met official." for index in range(700)]
    assert sum(len(text.split()) for text in originals) > 10_000
    start = time.process_time()
    score(originals, restored)
    assert time.process_time() - start < 2


def test_intervals_enclose_the_value_and_need_documents() -> None:
    one = score(ORIGINALS[:1], WORSE[:1]).scores["function_word_f1"]
    assert one.low == one.value == one.high
    many = score(ORIGINALS * 5, WORSE * 5).scores["function_word_f1"]
    assert many.low < many.value < many.high


def test_resampling_depends_on_the_seed_alone() -> None:
    assert (resample(7, 50, 3) == resample(7, 50, 3)).all()
    assert (resample(7, 50, 3) != resample(7, 50, 4)).any()
    assert (resample(7, 50, 3).sum(axis=1) == 7).all()


def test_numbers_must_agree() -> None:
    with pytest.raises(ValueError, match="2 originals but 1"):
        score(["a", "b"], ["a"])


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    result = score(ORIGINALS, WORSE, engine="worse")
    path = tmp_path / "result.json"
    path.write_text(result.to_json(), encoding="utf-8")
    again = read_result(path)
    assert (again.rows == result.rows).all()
    assert again.signature == result.signature
    assert again.documents == 3
    assert again.scores["comma_f1"].value == pytest.approx(result.scores["comma_f1"].value, abs=1e-4)
    assert math.isnan(again.scores["ellipsis_f1"].value)


def test_comparison_tells_better_from_equal() -> None:
    good, bad = score(ORIGINALS * 5, ORIGINALS * 5), score(ORIGINALS * 5, WORSE * 5)
    found = compare(good, bad)["function_word_f1"]
    assert found.difference.value == found.ours - found.theirs > 0
    assert found.difference.low > 0
    assert found.p < 0.01
    same = compare(bad, bad)["function_word_f1"]
    assert same.difference.value == same.difference.low == same.difference.high == 0
    assert same.p == 1


def test_comparison_needs_the_same_data_channel_and_scorer() -> None:
    ours = score(ORIGINALS, WORSE)
    with pytest.raises(InputError, match="different data"):
        compare(ours, score(ORIGINALS[::-1], WORSE[::-1]))
    with pytest.raises(InputError, match="different channel"):
        compare(ours, score(ORIGINALS, WORSE, "stemmed"))


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"scores": {}, "counts": {"columns": ["x"], "rows": []}}', "[" * 10**5]
)
def test_what_is_no_result_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="not a result"):
        read_result(path)
    with pytest.raises(InputError, match="not a result"):
        read_result(tmp_path / "missing.json")


def test_names_are_unique() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
