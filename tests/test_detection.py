"""Detection: the channel of a text, told from the text."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore import Channel, InputError, ResourceError, channel_names, get_channel, strip_text
from restore.bundle import resources_folder, write_bundle
from restore.channel.detection import (
    FILE,
    FORMAT,
    READABLE,
    VERSION,
    Detection,
    Detector,
    default_detector,
    detect_channel,
    read_piece,
)
from restore.channel.sources import Sources
from restore.lexicon import default_lexicon
from restore.training.detection import train_detection

DATA = Path(__file__).parent / "data"
CASES = json.loads((DATA / "detection.json").read_text(encoding="utf-8"))
PROSE = (DATA / "detection.txt").read_text(encoding="utf-8")


def first_words(text: str, count: int) -> str:
    return " ".join(text.split()[:count])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["label"])
def test_detects(case: dict[str, str]) -> None:
    assert detect_channel(case["text"]).name == case["name"]


@pytest.mark.parametrize("name", channel_names())
def test_detects_every_preset(name: str) -> None:
    stripped = strip_text(PROSE, name)
    detection = detect_channel(stripped)
    assert strip_text(PROSE, detection.name) == stripped
    assert detection.probability > 0.8


def test_readable_text_is_known() -> None:
    for text in (PROSE, first_words(PROSE, 30), PROSE.replace("'", "\u2019")):
        assert detect_channel(text).name == READABLE


def test_the_seed(seed_text: str) -> None:
    detection = detect_channel(seed_text)
    assert detection.name == "nltk"
    assert detection.probability > 0.8
    assert "no capitals, no marks" in detection.evidence
    assert any(statement.startswith('`u` from "us"') for statement in detection.evidence)
    assert any("they" in statement for statement in detection.evidence)
    assert any("nouns, all singular" in statement for statement in detection.evidence)


def test_evidence_for_stems_gives_their_words() -> None:
    evidence = detect_channel(strip_text(PROSE, "stemmed")).evidence
    assert any(statement.endswith("Porter's stemmer") and '"' in statement for statement in evidence)


def test_evidence_against() -> None:
    text = strip_text(PROSE).split()
    text[20:20] = ["libraries", "Doubled"]
    evidence = detect_channel(" ".join(text)).evidence
    assert "against it: 2 tokens that it does not leave (libraries, Doubled)" in evidence


@pytest.mark.parametrize(
    "channel",
    [
        Channel("no lemmas", characters="[A-Za-z0-9]", stop_words=get_channel("nltk").stop_words),
        Channel("stems alone", characters="[A-Za-z0-9]", map="porter"),
        replace(get_channel("nltk"), lowercase=False),
        Channel("marks stay", characters=r"\S", stop_words=get_channel("nltk").stop_words),
    ],
    ids=lambda channel: channel.name,
)
def test_an_unknown_channel_is_improbable(channel: Channel) -> None:
    detection = detect_channel(channel.strip(PROSE))
    assert detection.probability < 0.5
    assert "a channel that restore does not know is likelier than any that it knows" in detection.evidence


def test_little_text_says_little() -> None:
    assert detect_channel("").probability < 0.5
    assert detect_channel("").evidence == ("the text has no words",)
    assert detect_channel("government").probability < 0.7


def test_presets_that_differ_in_nothing_seen_share_the_probability() -> None:
    detection = detect_channel(strip_text(PROSE))
    assert detection.scores["nltk"] < 0.9 < detection.probability
    assert not any("unicode" in statement for statement in detection.evidence)


def test_more_text_than_is_read_changes_nothing() -> None:
    text = strip_text(PROSE) + " "
    assert detect_channel(text * 12) == detect_channel(text * 12 + "Some prose, then.")


def test_white_space_says_nothing() -> None:
    stripped = strip_text(PROSE)
    assert detect_channel(stripped.replace(" ", "\n\n  ")) == detect_channel(stripped)


@given(
    st.one_of(
        st.text(), st.lists(st.sampled_from([*PROSE.split(), *strip_text(PROSE, "stemmed").split()])).map(" ".join)
    )
)
def test_any_text_has_an_answer(text: str) -> None:
    detection = detect_channel(text)
    assert detection.name in {*channel_names(), READABLE}
    assert 0 <= detection.probability <= 1
    assert set(detection.scores) == {*channel_names(), READABLE}
    assert sum(detection.scores.values()) <= 1 + 1e-9
    assert all(detection.evidence)
    assert isinstance(detection, Detection)


@pytest.mark.parametrize("piece", ["a" + "-" * 300_000 + "a", "a" * 300_000, "_" * 300_000, "a-" * 150_000])
def test_long_pieces_take_no_time(piece: str) -> None:
    assert read_piece(piece)[1] == ""
    assert max(map(len, detect_channel(piece).evidence)) < 1000


@pytest.mark.parametrize(
    ("piece", "shape", "word"),
    [
        ("Officials,", "oC", "officials"),
        ("2014", "3", ""),
        ("6,000", "xm", ""),
        ("non-citizens", "k", ""),
        ("'tis", "o", "tis"),
        ("café", "é", ""),
        ("b2b", "m", ""),
        ("snake_case", "_", ""),
        ("...", "mark", ""),
    ],
)
def test_pieces(piece: str, shape: str, word: str) -> None:
    assert read_piece(piece) == (shape, word)


def test_text_without_stems_needs_no_stemmer() -> None:
    code = (
        "import sys; from restore.channel.detection import detect_channel; "
        f"assert detect_channel({strip_text(PROSE)!r}).name == 'nltk'; assert 'nltk' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_sources_go_back_from_token_to_words() -> None:
    sources = Sources(default_lexicon())
    assert set(sources.words("wordnet-noun", "wa")) == {"was", "wa"}
    assert sources.image(get_channel("lemma-first"), "wa") > 100 * sources.image(get_channel("nltk"), "wa")
    assert sources.image(get_channel("wordnet-nvar"), "said") < 1e-4 * sources.share("said")
    assert sources.image(get_channel("sklearn"), "s") == 0


@pytest.mark.parametrize("table", ["", "[]", "{}", '{"presets": ["nltk"], "all": {"s:": 1}}', "[" * 100_000])
def test_a_damaged_table_is_an_error(tmp_path: Path, table: str) -> None:
    def write(path: Path) -> None:
        path.write_text(table)

    write_bundle(tmp_path, FORMAT, VERSION, {FILE: write}, {})
    with pytest.raises(ResourceError, match="sound detection table"):
        Detector.open(tmp_path)


def test_the_table_knows_every_preset() -> None:
    assert default_detector().names == (*channel_names(), READABLE)
    card: dict[str, Any] = json.loads((resources_folder() / "detection" / "card.json").read_text(encoding="utf-8"))
    assert card["files"][FILE]["bytes"] < 100_000


def test_training(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n%%%\n".join([PROSE] * 12) + "\n%%%\n", encoding="utf-8")
    train_detection([corpus], tmp_path / "out", words=3000, held_out=600)
    detector = Detector.open(tmp_path / "out")
    assert detector.names == (*channel_names(), READABLE)
    for name in ("nltk", "transcript", "gensim", "lower"):
        assert detector.detect(strip_text(PROSE, name)).name == name


@pytest.mark.parametrize("text", ["two words", "The officials met in Paris on Monday. " * 12])
def test_too_little_text_to_train_on(tmp_path: Path, text: str) -> None:
    (tmp_path / "little.txt").write_text(text)
    with pytest.raises(InputError, match="words are too few to tell channels by"):
        train_detection([tmp_path / "little.txt"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
