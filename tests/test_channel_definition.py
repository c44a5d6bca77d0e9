"""Channels defined in TOML."""

from __future__ import annotations

from pathlib import Path

import pytest

from restore import ChannelError, get_channel, restore_text, strip_text


def write(folder: Path, text: str) -> str:
    path = folder / "ours.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_whole_definition(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("said\nmr\n")
    path = write(
        tmp_path,
        'keep = "-"\nstop_list = "nltk"\nstop_words = ["week"]\nstop_file = "more.txt"\nmin_length = 2\nnumbers = false\n'
        'map = "porter"\norder = "drop-map"\n',
    )
    assert get_channel(path).name == "ours"
    assert strip_text("Mr X said the 61 well-known policies failed that week", path) == "well-known polici fail"
    text = restore_text("well-known polici fail", channel=path).text
    assert strip_text(text, path) == "well-known polici fail"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "not TOML"),
        ("stopwords = []", "'stopwords' is unknown"),
        ('min_length = "2"', "'min_length' must be of type int"),
        ("min_length = true", "'min_length' must be of type int"),
        ("stop_words = [1]", "list of words"),
        ('stop_list = "nlkt"', "'nlkt' is unknown"),
        ('stop_file = "none.txt"', "'none.txt' cannot be read"),
        ('map = "lancaster"', "lancaster"),
        ('characters = "["', "characters"),
    ],
)
def test_a_wrong_definition_says_what_and_where(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ChannelError, match=says):
        get_channel(write(tmp_path, text))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match="cannot be read"):
        get_channel(str(tmp_path / "none.toml"))
