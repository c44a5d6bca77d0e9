"""`restore train lexicon`: the words of running text and of word lists, with what they are written like."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from restore.cli.main import group
from restore.lexicon import Lexicon

TEXT = "The US army met us in Paris. Officials of the US army went home, and the army met us there.\n%%%\n" * 30


def made(folder: Path, *options: str) -> Lexicon:
    text = folder / "mine.txt"
    text.write_text(TEXT, encoding="utf-8")
    done = CliRunner().invoke(group, ["train", "lexicon", str(text), "-o", str(folder / "out"), "--no-wordfreq", *options])
    assert done.exit_code == 0, done.output
    return Lexicon.open(folder / "out")


def test_the_command_makes_a_lexicon_of_a_text_and_a_list(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("iPhone\nzyzzyva\n", encoding="utf-8")
    lexicon = made(tmp_path, "--list", str(words))
    assert {entry.form for entry in lexicon.variants("us")} == {"us", "US"}
    assert {entry.form for entry in lexicon.variants("iphone")} == {"iPhone"}
    assert not lexicon.variants("colonel")
    assert "officials" in {entry.form.lower() for entry in lexicon.preimage("wordnet-noun", "official")}
    army, rare = (lexicon.variants(word)[0].logprob for word in ("army", "zyzzyva"))
    assert army > rare


def test_a_list_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_bytes(b"caf\xe9\n")
    (tmp_path / "mine.txt").write_text(TEXT, encoding="utf-8")
    args = ["lexicon", str(tmp_path / "mine.txt"), "-o", str(tmp_path / "out"), "--no-wordfreq", "--list", str(words)]
    done = CliRunner().invoke(group, ["train", *args])
    with pytest.raises(Exception, match=r"words\.txt: byte 3 is not UTF-8"):
        raise done.exception or AssertionError(done.output)
