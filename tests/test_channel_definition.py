"""Channels defined in TOML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from restore import Channel, ChannelError, get_channel, restore_text, strip_text
from restore.channel.presets import stop_list


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
        ('characters = "(?i)[a-z]"', "global flags"),
        ('characters = "(?P<one>[a-z])"\nkeep = "-"', "redefinition of group"),
        ('keep = "- "', "white space"),
        ('stop_file = "a\\u0000b"', "cannot be read"),
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


def test_byte_order_marks_are_no_letters(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("\ufeffsaid\nmr\n", encoding="utf-8")
    path = write(tmp_path, '\ufeffstop_file = "more.txt"')
    assert get_channel(Path(path)).strip("Said Mr Smith said") == "smith"


def test_a_channel_that_has_a_presets_name_is_not_the_preset() -> None:
    ours = Channel("nltk", characters="[a-z]", map="porter", stop_words={"the"})  # type: ignore[arg-type]
    assert not restore_text("official said", engine="fast", channel=ours).calibrated
    assert restore_text("official said", engine="fast", channel="nltk").calibrated


@pytest.mark.parametrize("options", [{"stop_words": stop_list("nltk") | {"table", "11"}}, {"min_length": 6}])
def test_insertions_are_tried_between_words_that_the_channel_keeps(options: dict[str, Any]) -> None:
    ours = Channel("ours", **{"stop_words": stop_list("nltk"), **options})
    text = "immigration official routinely deport citizen officials 2014 2015"
    assert restore_text(text, engine="fast", channel=ours, repair=False).text.endswith(".")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match="cannot be read"):
        get_channel(str(tmp_path / "none.toml"))


def test_a_definition_that_was_edited_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path, 'map = "porter"\n')
    assert "policy" in restore_text("polici", engine="fast", channel=path, repair=False).text.lower()
    write(tmp_path, 'map = "none"\n')
    assert "polici" in restore_text("polici", engine="fast", channel=path, repair=False).text.lower()
