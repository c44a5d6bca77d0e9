"""`restore explain`, readability, `--nbest`: what a person is shown."""

from __future__ import annotations

import json
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from restore import InputError, RestoreError, Restorer, strip_text
from restore.cli.explain import _around, explain_command
from restore.cli.text import text_command
from restore.explanation import explain
from restore.flags import Flag

TEXT = "official said monday found compelling reason stop removal men. they met minister friday"


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "stripped.txt"
    path.write_text(TEXT)
    return str(path)


def test_sentences_share_out_the_history(fast: Restorer) -> None:
    result = fast.restore(TEXT)
    sentences = explain(result)
    assert " ".join(sentence.text for sentence in sentences).split() == result.text.split()
    assert " ".join(sentence.given for sentence in sentences).split() == TEXT.split()
    assert [edit for sentence in sentences for edit in sentence.edits] == list(result.edits)
    assert [flag for sentence in sentences for flag in sentence.flags] == list(result.flags)
    assert [kept.text for sentence in sentences for kept in sentence.kept] == ["they"]
    assert explain(fast.restore(""))[0].text == ""


def test_a_joined_word_is_named_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("official said\nnon citizen deported\n")
    done = CliRunner().invoke(explain_command, [str(tmp_path / "a.txt"), "--engine", "fast"])
    assert "joined     non-citizen" in done.stdout


def test_a_channels_definition_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "ours.toml").write_text('stop_list = "nltk"\n')
    args = [str(tmp_path / "a.txt"), "--engine", "fast", "--channel", str(tmp_path / "ours.toml"), "-o"]
    done = CliRunner().invoke(explain_command, [*args, str(tmp_path / "ours.toml")])
    assert isinstance(done.exception, InputError)
    assert (tmp_path / "ours.toml").read_text() == 'stop_list = "nltk"\n'


def test_explains_in_lines(file: str) -> None:
    done = CliRunner().invoke(explain_command, [file, "--engine", "fast"])
    assert done.exit_code == 0
    for word in ("restored, not the original", "confidence", "given", "put in", "recased", "kept", "in all"):
        assert word in done.output
    assert "\x1b" not in done.output


def test_explains_what_was_inflected_and_repaired(tmp_path: Path, fast: Restorer) -> None:
    (tmp_path / "a.txt").write_text("presidentobama said u immigration official routinely deport non citizen\n")
    done = CliRunner().invoke(explain_command, [str(tmp_path / "a.txt"), "--engine", "fast"])
    repaired = fast.restore((tmp_path / "a.txt").read_text())
    assert [(repair.before, repair.after) for repair in repaired.repairs] == [("presidentobama", "president obama")]
    assert "  repaired   presidentobama \u2192 president obama" in done.stdout
    inflected = [edit.after for edit in repaired.edits if edit.kind == "inflected"]
    assert inflected
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("  inflected")][:1]
    assert inflected[0] in line


def test_the_data_says_that_it_is_not_the_original(fast: Restorer) -> None:
    whole = fast.restore(TEXT).to_dict()
    assert (whole["restored"], whole["note"]) == (True, "restored, not the original")


def test_explains_where_a_warning_is(fast: Restorer) -> None:
    result = fast.restore("official found reason stop removal")
    found, reason = result.spans[1], result.spans[2]
    empty = Flag("negation", 2, reason.start, reason.end, "dropped?")
    inserted = Flag("negation", 2, found.end, reason.start, "dropped?")
    gap = result.text[found.end : reason.start].strip()
    assert f"{result.text[found.start : found.end]} " in _around(empty, result)
    assert f" [] {result.text[reason.start : reason.end]}" in _around(empty, result)
    assert f" [{gap}] {result.text[reason.start : reason.end]}" in _around(inserted, result)


def test_a_warning_where_a_sentence_ends_belongs_to_the_next(fast: Restorer) -> None:
    result = fast.restore("official found reason. removal stopped")
    end = result.text.index(".")
    flag = Flag("negation", 0, end, end + 2, "dropped?")
    first, second, *_ = explain(replace(result, flags=(flag,)))
    assert first.text.endswith(result.text[: end + 1])
    assert (first.flags, second.flags) == ((), (flag,))


def test_what_was_not_restored_is_not_called_so(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the agency said that it had found no reason to stop the removal of the men")
    done = CliRunner().invoke(explain_command, [str(tmp_path / "a.txt"), "--engine", "fast"])
    assert done.output.startswith("returned unchanged")
    assert "confidence" not in done.output
    assert done.output.endswith("in all: nothing changed\n")


def test_explains_as_json(file: str) -> None:
    done = CliRunner().invoke(explain_command, [file, "--engine", "fast", "--json", "--conservative"])
    whole = json.loads(done.output)
    assert strip_text(whole["text"]).split() == [word.strip(".") for word in TEXT.split() if word != "they"]
    assert {"text", "given", "confidence", "edits", "flags", "kept", "repairs"} <= whole["sentences"][0].keys()


def test_readability_before_and_after(file: str) -> None:
    pytest.importorskip("textstat")
    args = [file, "--engine", "fast", "--readability"]
    ease = json.loads(CliRunner().invoke(explain_command, [*args, "--json"]).output)["readability"]
    assert ease["perplexity"]["after"] < ease["perplexity"]["before"]
    assert ease["before"].keys() == ease["after"].keys()
    assert any("flesch" in name.lower() for name in ease["before"])
    shown = CliRunner().invoke(explain_command, args).output
    assert "before and after" in shown
    assert "perplexity" in shown


def test_nbest(file: str) -> None:
    done = CliRunner().invoke(text_command, [file, "--engine", "fast", "--nbest", "3"])
    assert done.exit_code == 0
    whole = json.loads(CliRunner().invoke(text_command, [file, "--engine", "fast", "--nbest", "3", "--json"]).output)
    assert all(2 <= len(readings) <= 3 for readings in whole["nbest"])
    assert done.output.count("%") == sum(map(len, whole["nbest"]))
    assert "".join(readings[0]["text"] for readings in whole["nbest"]) == whole["text"]


@pytest.mark.parametrize(
    ("args", "status"), [(["--conservative"], 0), (["--fluent"], 0), (["--min-confidence", "2"], 2)]
)
def test_confidence_options(file: str, args: list[str], status: int) -> None:
    assert CliRunner().invoke(text_command, [file, "--engine", "fast", *args]).exit_code == status


def test_readability_needs_no_network(fast: Restorer, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("textstat")

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    result = fast.restore(TEXT)
    ease = result.readability()
    assert ease.before.keys() == ease.after.keys()
    assert ease.after["flesch_reading_ease"] > ease.before["flesch_reading_ease"]
    assert "short sentences" in ease.caution
    before, after = fast.perplexity(result.source), fast.perplexity(result.source, result.text)
    assert before is not None
    assert after is not None
    assert after < before
    assert fast.perplexity("", "") is None


def test_readability_names_the_extra(fast: Restorer, monkeypatch: pytest.MonkeyPatch) -> None:
    from restore.readability import _packages

    _packages.cache_clear()
    monkeypatch.setitem(sys.modules, "textstat", None)
    with pytest.raises(RestoreError, match=r"restore-prose\[readability\]"):
        fast.restore("official said").readability()
    _packages.cache_clear()
