"""Evaluating files: which documents, which system, what is reported, and the command line."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from restore.channel import get_channel, strip_text
from restore.cli.evaluate import evaluate as command
from restore.errors import InputError, RestoreError
from restore.evaluation.documents import read_originals, read_outputs, select
from restore.evaluation.iwslt import count_window, cut_windows, is_iwslt, read_iwslt
from restore.evaluation.result import make_result
from restore.evaluation.run import Options, evaluate, evaluate_outputs
from restore.evaluation.signature import channel_name
from restore.evaluation.systems import Baseline, make_system, rules

DOCUMENTS = ["The officials met in Paris.", "Rome fell, they said.", "Who won the prize?", "It was McCain."]

IWSLT = """\
we\tO
do\tO
n't\tO
know\tCOMMA
bob\tCOMMA
what\tO
it\tO
's\tO
worth\tQUESTION
10,000\tO
dollars\tO
--\tPERIOD
yes\tPERIOD
"""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("".join(f"{document}\n\n%%%\n" for document in DOCUMENTS), encoding="utf-8")
    return path


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk"
    path.write_text(IWSLT, encoding="utf-8")
    return path


@dataclass(frozen=True)
class Answer:
    output_score: float = -10.0
    reference_score: float | None = -9.0
    gaps_total: int = 4
    gaps_reachable: int = 3
    tokens_total: int = 3
    tokens_reachable: int = 3


class Oracle:
    """A system that is told the originals, and answers for its search."""

    def __init__(self, answers: list[Answer | None]) -> None:
        self.name = "oracle-1234"
        self._answers = iter(answers)

    def outputs(self, stripped: Iterable[str]) -> Iterator[str]:
        known = {strip_text(document): document for document in DOCUMENTS}
        return (known[text] for text in stripped)

    def score_reference(self, stripped: str, original: str) -> Answer | None:
        assert strip_text(original) == stripped
        return next(self._answers)


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_halves_and_limits_are_each_files_own(corpus: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt.gz"
    other.write_bytes(gzip.compress(b"One\n\n%%%\nTwo\n\n%%%\nThree\n"))
    assert read_originals([corpus, other], "odd") == [DOCUMENTS[0], DOCUMENTS[2], "One", "Three"]
    assert read_originals([corpus, other], "even") == [DOCUMENTS[1], DOCUMENTS[3], "Two"]
    assert read_originals([corpus, other], "odd", 1) == [DOCUMENTS[0], "One"]
    assert list(select(range(6), "all", 4)) == [0, 1, 2, 3]


def test_nothing_to_score_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "one.txt"
    path.write_text("Only one.", encoding="utf-8")
    with pytest.raises(InputError, match="no documents to score"):
        read_originals([path], "even")


def test_a_file_of_which_nothing_is_scored_is_named(corpus: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.txt"
    one.write_text("Officials met.\n%%%\n")
    with pytest.raises(InputError, match=r"one\.txt: no documents to score"):
        read_originals([corpus, one], "even")


def test_outputs_may_be_for_all_documents_or_for_the_scored(corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "outputs.txt"
    path.write_text("a\n%%%\nb\n\nc\n%%%\n%%%\nd\n%%%\n", encoding="utf-8")
    assert read_outputs(path, [corpus], "all", None) == ["a", "b\n\nc", "", "d"]
    assert read_outputs(path, [corpus], "even", None) == ["b\n\nc", "d"]
    path.write_text("a\n%%%\nb", encoding="utf-8")
    assert read_outputs(path, [corpus], "odd", None) == ["a", "b"]
    with pytest.raises(InputError, match="2 outputs for 4 documents"):
        read_outputs(path, [corpus], "all", None)


def test_outputs_must_be_text(corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "outputs.txt"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="give a UTF-8 text"):
        read_outputs(path, [corpus], "all", None)
    with pytest.raises(InputError, match="No such file"):
        read_outputs(tmp_path / "missing", [corpus], "all", None)


def test_a_system_is_scored_on_what_it_makes_of_stripped_text(corpus: Path) -> None:
    result = evaluate([corpus], Oracle([Answer()] * 4))
    assert result.documents == 4
    assert result.scores["function_word_f1"].value == result.scores["exact_sentence"].value == 100
    assert result.scores["promise_failures"].value == 0
    assert result.scores["words_per_second"].value > 0
    assert result.scores["peak_memory_mb"].value > 10


def test_search_errors_and_oracle_recall(corpus: Path) -> None:
    answers = [Answer(), Answer(reference_score=-10.0), Answer(reference_score=None, tokens_reachable=1), None]
    result = evaluate([corpus], Oracle(answers))
    assert result.scores["search_errors"].value == 50  # of the two that could be forced through
    assert result.scores["oracle_recall_gaps"].value == 75
    assert result.scores["oracle_recall_tokens"].value == pytest.approx(100 * 7 / 9)
    assert math.isnan(evaluate([corpus], Oracle([]), Options(search_errors=False)).scores["search_errors"].value)


def test_progress_is_told(corpus: Path) -> None:
    told: list[tuple[int, int]] = []
    evaluate([corpus], make_system("none", "nltk"), Options(), lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_signature_names_what_shaped_the_result(corpus: Path) -> None:
    none = make_system("none", "nltk")
    signature = evaluate([corpus], none, Options(half="odd", seed=7)).signature
    assert signature["engine"] == "none"
    assert signature["half"] == "odd"
    assert signature["seed"] == 7
    assert signature["documents"] == 2
    assert signature["channel"] == channel_name(get_channel("nltk"))
    again = evaluate([corpus], none, Options(half="odd", seed=7)).signature
    assert signature == again
    assert signature["data"] != evaluate([corpus], none, Options(half="even")).signature["data"]
    assert channel_name(get_channel("nltk")) != channel_name(get_channel("stemmed"))


def test_rules() -> None:
    assert rules("u official met", {"u": "US", "official": "officials"}.get) == "US officials met."
    assert rules("official met", {}.get) == "Official met."
    assert rules("", {}.get) == ""


def test_rules_take_the_lexicons_most_frequent_forms() -> None:
    system = make_system("rules", "nltk")
    [text] = system.outputs(["immigration official paris jsdkfh"])
    assert text in ("Immigration officials Paris jsdkfh.", "Immigration official Paris jsdkfh.")
    assert system.name.startswith("rules-")


def test_rules_keep_the_promise() -> None:
    stripped = strip_text("US officials say policies in the U.S. were wolves' uses; 6,000 men's.")
    [text] = make_system("rules", "nltk").outputs([stripped])
    assert strip_text(text) == stripped


def test_ready_made_outputs(corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "outputs.txt"
    path.write_text("\n%%%\n".join([*DOCUMENTS[:3], "It is McCain."]), encoding="utf-8")
    result = evaluate_outputs([corpus], path, "theirs")
    assert re.fullmatch("theirs-[0-9a-f]{12}", result.signature["engine"])
    assert result.scores["exact_sentence"].value == 75
    assert math.isnan(result.scores.get("words_per_second", result.scores["search_errors"]).value)


def test_iwslt_pieces_are_joined_and_marked_after_the_last(talk: Path, corpus: Path) -> None:
    assert is_iwslt(talk)
    assert not is_iwslt(corpus)
    words = [(word.text, word.mark) for word in read_iwslt(talk)]
    assert words == [
        ("we", ""), ("don't", ""), ("know", "comma"), ("bob", "comma"), ("what", ""), ("it's", ""),
        ("worth", "question"), ("10,000", ""), ("dollars", ""), ("--", "stop"), ("yes", "stop"),
    ]  # fmt: skip
    assert len(read_iwslt(talk, 5)) == 4  # "do" and "n't" are two tokens


def test_iwslt_marks_are_mapped_and_counted(talk: Path) -> None:
    channel = get_channel("transcript")
    [window] = cut_windows(read_iwslt(talk))
    restored = "We don't know: bob, what it's worth? 10,000 dollars; yes"
    result = make_result([count_window(window, restored, channel)], {})
    values = {name: result.scores[f"{name}_f1"].value for name in ("comma", "stop", "question", "punctuation_micro")}
    assert values == {
        "comma": 100,
        "stop": pytest.approx(200 / 3),
        "question": 100,
        "punctuation_micro": pytest.approx(800 / 9),
    }
    assert result.scores["stop_recall"].value == 50
    assert result.scores["promise_failures"].value == 0
    assert math.isnan(result.scores["function_word_f1"].value)


def test_iwslt_marks_on_the_wrong_word_are_wrong_twice(talk: Path) -> None:
    [window] = cut_windows(read_iwslt(talk, 4))
    assert window.text == "we don't know"
    found = make_result([count_window(window, "we, don't know", get_channel("transcript"))], {}).scores
    assert found["comma_precision"].value == found["comma_recall"].value == 0


def test_iwslt_windows_are_scored_on_their_own_words_only(talk: Path) -> None:
    words = read_iwslt(talk)
    windows = list(cut_windows(words, size=6, lookahead=3))
    assert [len(window.words) for window in windows] == [9, 5]
    assert [window.scored for window in windows] == [6, 5]
    row = count_window(windows[0], "we don't know bob what it's worth? 10,000 dollars.", get_channel("transcript"))
    found = make_result([row], {}).scores
    assert math.isnan(found["question_f1"].value)  # "worth" is lookahead
    assert math.isnan(found["stop_f1"].value)
    assert found["comma_recall"].value == 0


def test_iwslt_needs_a_channel_that_keeps_words(talk: Path, corpus: Path) -> None:
    none = make_system("none", "nltk")
    with pytest.raises(InputError, match="use transcript"):
        evaluate([talk], none)
    with pytest.raises(InputError, match="score them apart"):
        evaluate([talk, corpus], none, Options(channel="transcript"))
    with pytest.raises(InputError, match="give an engine"):
        evaluate_outputs([talk], corpus, "x", Options(channel="transcript"))


def test_iwslt_bad_lines_are_named(talk: Path) -> None:
    talk.write_text("we\tO\nyou\tSEMICOLON\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2"):
        read_iwslt(talk)


def test_command_prints_a_table(corpus: Path) -> None:
    done = run(corpus, "--engine", "none")
    assert done.exit_code == 0
    assert "function word F1" in done.stdout
    assert "documents: 4" in done.stdout
    assert "engine:none" in done.stdout
    assert done.stderr == ""


def test_command_prints_json(corpus: Path) -> None:
    done = run(corpus, "--engine", "none", "--format", "json", "--half", "even", "--limit", 1)
    data = json.loads(done.stdout)
    assert data["documents"] == 1
    assert set(data["scores"]["function_word_f1"]) == {"value", "low", "high"}
    assert data["scores"]["function_word_f1"]["value"] == 0
    assert data["scores"]["question_f1"]["value"] is None
    assert data["signature"]["limit"] == 1


def test_command_writes_and_compares(corpus: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "none.json", tmp_path / "rules.json"
    assert run(corpus, "--engine", "none", "-o", first).exit_code == 0
    done = run(corpus, "--engine", "rules", "-o", second, "--against", first)
    assert done.exit_code == 0, done.output
    assert "difference" in done.stdout
    assert json.loads(second.read_text(encoding="utf-8"))["signature"]["engine"].startswith("rules-")
    compared = json.loads(run(corpus, "--engine", "rules", "--against", first, "--format", "json").stdout)
    assert compared["against"]["stop_f1"]["difference"]["value"] > 0


def test_command_scores_hypotheses(corpus: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.txt"
    theirs.write_text("\n%%%\n".join(DOCUMENTS), encoding="utf-8")
    data = json.loads(run(corpus, "--hypotheses", theirs, "--format", "json").stdout)
    assert data["scores"]["chrf"]["value"] == 100
    assert data["signature"]["engine"].startswith("theirs.txt-")


@pytest.mark.parametrize("text", ["The first line\nof one. It ends.\n\n\nThe second.\n", "One\u2028line.\x0cOne more.\n"])
def test_a_text_is_its_own_perfect_outcome(tmp_path: Path, text: str) -> None:
    """Where there are blank lines, they end the paragraphs; nothing but a line feed ends a line."""
    plain, packed = tmp_path / "text.txt", tmp_path / "text.txt.gz"
    plain.write_text(text, encoding="utf-8", newline="")
    packed.write_bytes(gzip.compress(text.encode()))
    for theirs in (plain, packed):
        scores = json.loads(run(plain, "--hypotheses", theirs, "--format", "json").stdout)["scores"]
        found = {scores[name]["value"] for name in ("sentence_f1", "paragraph_f1", "chrf", "exact_gap")}
        assert found <= {100, None}


def test_few_documents_prove_nothing(corpus: Path, tmp_path: Path) -> None:
    first = tmp_path / "none.json"
    run(corpus, "--engine", "none", "-o", first)
    data = json.loads(run(corpus, "--engine", "rules", "--against", first, "--format", "json").stdout)
    assert {found["p"] for found in data["against"].values()} == {None}
    assert "difference" in run(corpus, "--engine", "rules", "--against", first).stdout


def test_a_result_is_written_though_it_cannot_be_compared(corpus: Path, tmp_path: Path) -> None:
    other, out = tmp_path / "other.json", tmp_path / "out.json"
    run(corpus, "--engine", "none", "--limit", 2, "-o", other)
    done = run(corpus, "--engine", "none", "-o", out, "--against", other)
    assert isinstance(done.exception, RestoreError)
    assert "scores" in json.loads(out.read_text(encoding="utf-8"))


def test_command_reads_iwslt(talk: Path) -> None:
    done = run(talk, "--channel", "transcript", "--engine", "none", "--limit-tokens", 9, "--format", "json")
    data = json.loads(done.stdout)
    assert data["scores"]["comma_f1"]["value"] == 0
    assert data["scores"]["stop_f1"]["value"] is None
    assert data["signature"]["limit_tokens"] == 9


def test_command_never_overwrites_its_input(corpus: Path) -> None:
    before = corpus.read_bytes()
    done = run(corpus, "--engine", "none", "-o", corpus)
    assert isinstance(done.exception, InputError)
    assert corpus.read_bytes() == before


@pytest.mark.parametrize("arguments", [[], ["--half", "third", "x"], ["--limit", "0", "x"], ["--engine", "magic", "x"]])
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_missing_files_are_named(tmp_path: Path) -> None:
    done = run(tmp_path / "missing.txt", "--engine", "none")
    assert isinstance(done.exception, InputError)
    assert "missing.txt" in str(done.exception)


def test_a_bad_result_file_is_told_before_the_work(corpus: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{}", encoding="utf-8")
    done = run(corpus, "--engine", "none", "--against", bad, "-o", tmp_path / "out.json")
    assert isinstance(done.exception, InputError)
    assert not (tmp_path / "out.json").exists()


def test_a_baseline_has_nothing_to_say_of_originals() -> None:
    assert Baseline("upper", str.upper).score_reference("a", "A") is None
    assert list(Baseline("upper", str.upper).outputs(["a", "b"])) == ["A", "B"]
