from __future__ import annotations

import lzma
import random

import pytest

from restore.channel import get_channel
from restore.errors import RestoreError
from restore.training.pairs import (
    Shape,
    Window,
    WindowSource,
    cut_window,
    damage,
    held_out_windows,
    read_sources,
    source_name,
)

PARAGRAPHS = [
    "The minister of health resigned on Monday, and nobody was surprised. Her party had lost 6,000 members!",
    '"We will re-enter the talks," Mr. O\'Rourke said in Orfèvres, "but not before the U.S. officials do."',
    "Prices were rising, wages weren't. Was it the drought? Farmers say so; the banks say it's the rains of 2014.",
]
DOCUMENT = "\n".join(PARAGRAPHS * 6)
OTHER = DOCUMENT.replace("minister", "zebra").replace("Prices", "Zebras")

PLAIN = Shape(damage_share=0)


def flat(text: str) -> str:
    return text.replace("\n", " ")


def windows(shape: Shape, count: int = 300, channel: str = "nltk") -> list[Window]:
    source = WindowSource({"a": [DOCUMENT], "b": [OTHER]}, channels={channel: 1}, shape=shape)
    return [source.window(number) for number in range(count)]


@pytest.mark.parametrize("channel", ["nltk", "transcript", "stemmed"])
def test_stripping_the_target_gives_the_source(channel: str) -> None:
    strip = get_channel(channel).strip
    for window in windows(PLAIN, channel=channel):
        text = window.prefix + window.target
        # A window opens and closes where a word does, so its text strips as it did inside its document.
        if window.closed:
            assert strip(text) == window.source
        else:
            assert window.source.startswith(strip(text) + " ")


def test_prefix_and_target_are_one_stretch_of_one_document() -> None:
    for window in windows(PLAIN):
        text = window.prefix + window.target
        assert text in DOCUMENT or text in OTHER
        assert not window.target[-1].isspace()


def test_every_kind_of_window_occurs() -> None:
    seen = windows(PLAIN)
    assert any(window.prefix for window in seen)
    assert any(not window.prefix for window in seen)
    assert any(not window.closed for window in seen)
    assert any(window.target[-1] in '.!?"' for window in seen if window.closed)
    assert any(window.target[-1].isalnum() for window in seen if window.closed)
    assert any("\n" in window.target for window in seen)
    assert any(window.target.startswith(("The minister", "The zebra")) for window in seen)
    assert any(window.target.startswith(" ") for window in seen)


def test_a_window_that_reaches_the_end_has_the_last_marks() -> None:
    shape = Shape(body=(500, 500), short_share=0, opening_share=1, prefix_share=0, lookahead_share=1, damage_share=0)
    for window in windows(shape, 5):
        assert window.closed
        assert window.prefix + window.target in (DOCUMENT, OTHER)


def test_no_cut_inside_a_word_that_the_channel_cut() -> None:
    text = "Orfèvres " * 40
    tokens = get_channel("nltk").tokens(text)
    chance = random.Random(0)
    for _ in range(100):
        window = cut_window(text, tokens, PLAIN, chance)
        assert window
        assert not window.prefix.endswith("Orf")
        assert (window.prefix + window.target).lstrip().startswith("Orf")


def test_a_text_of_which_nothing_is_kept_has_no_window() -> None:
    assert cut_window("The of and.", get_channel("nltk").tokens("The of and."), PLAIN, random.Random(0)) is None


def test_windows_depend_on_seed_and_number_only() -> None:
    documents = {"a": [DOCUMENT], "b": [OTHER]}
    one, same, other = (WindowSource(documents, seed=seed) for seed in (1, 1, 2))
    forward = [one.window(number) for number in range(20)]
    assert [same.window(number) for number in reversed(range(20))] == forward[::-1]
    assert [other.window(number) for number in range(20)] != forward


def test_sources_are_drawn_by_weight() -> None:
    documents = {"a": [DOCUMENT], "b": [OTHER]}
    source = WindowSource(documents, weights={"b": 0})
    drawn = [source.window(number) for number in range(50)]
    assert not any("zebra" in window.target.lower() for window in drawn)


def test_channels_are_mixed() -> None:
    source = WindowSource({"a": [DOCUMENT]}, channels={"nltk": 0.5, "transcript": 0.5})
    assert {source.window(number).channel for number in range(30)} == {"nltk", "transcript"}


def test_damage_touches_the_source_alone() -> None:
    whole = windows(PLAIN, 60)
    damaged = windows(Shape(damage_share=1), 60)
    assert [w.target for w in damaged] == [w.target for w in whole]
    assert sum(a.source != b.source for a, b in zip(damaged, whole, strict=True)) > 40


def test_damage_of_short_sources() -> None:
    chance = random.Random(0)
    assert damage(["one", "two"], ["the"], chance) == ["one", "two"]
    results = {" ".join(damage(["one", "two", "three", "four"], ["the"], chance)) for _ in range(200)}
    assert {"onetwo three four", "one two two three four", "one three four", "one the two three four"} <= results


def test_files_of_one_source_go_together(tmp_path) -> None:
    text = f"{PARAGRAPHS[0]}\n{PARAGRAPHS[1]}\n\n%%%\n{PARAGRAPHS[2]}\n\n%%%\n"
    (tmp_path / "daily-news-00.txt").write_text(text, encoding="utf-8")
    (tmp_path / "daily-news-01.txt.xz").write_bytes(lzma.compress(text.encode()))
    documents = read_sources(sorted(tmp_path.iterdir()))
    assert documents == {"daily-news": ["\n".join(PARAGRAPHS[:2]), PARAGRAPHS[2]] * 2}
    names = {"plain.txt": "plain", "gum.txt.gz": "gum", "wikinews-2019-20.txt": "wikinews-2019-20"}
    names["opensource.com-01.txt"] = "opensource.com"
    assert {name: source_name(tmp_path / name) for name in names} == names


def test_held_out_windows_are_of_odd_documents(tmp_path) -> None:
    path = tmp_path / "dev.txt"
    path.write_text("".join(f"{text}\n%%%\n" for text in [DOCUMENT, OTHER] * 3), encoding="utf-8")
    held = held_out_windows(path, 12)
    assert len(held) == 12
    assert held == held_out_windows(path, 12)
    assert not any("zebra" in window.target.lower() or window.prefix for window in held)


def test_errors() -> None:
    with pytest.raises(RestoreError, match="no documents"):
        WindowSource({"a": []})
    with pytest.raises(RestoreError, match="shares"):
        WindowSource({"a": [DOCUMENT]}, channels={})
    with pytest.raises(RestoreError, match="hardly a word"):
        WindowSource({"a": ["北京天气很好。"]}, channels={"nltk": 1}).window(0)
    with pytest.raises(RestoreError, match="unknown"):
        WindowSource({"a": [DOCUMENT]}, channels={"nonesuch": 1})
