"""Data files that are missing, cut short, changed, or of another kind: one clear line, whatever reads them."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from restore.bundle import resources_folder
from restore.errors import ResourceError


def _lexicon(folder: Path) -> Any:
    from restore.lexicon import Lexicon

    return Lexicon.open(folder)


def _ngram(folder: Path) -> Any:
    from restore.models.ngram import NgramModel

    return NgramModel.open(folder)


def _wordnet(folder: Path) -> Any:
    from restore.channel import wordnet

    wordnet._table.cache_clear()
    wordnet.morphology.cache_clear()
    try:
        with patch.object(wordnet, "resources_folder", lambda: folder.parent):
            return wordnet.morphology("n")
    finally:
        wordnet._table.cache_clear()
        wordnet.morphology.cache_clear()


def _stopwords(folder: Path) -> Any:
    from restore.channel import presets

    presets.stop_list.cache_clear()
    try:
        with patch.object(presets, "resources_folder", lambda: folder.parent):
            return [presets.stop_list(name) for name in ("nltk", "spacy", "sklearn", "gensim")]
    finally:
        presets.stop_list.cache_clear()


def _detection(folder: Path) -> Any:
    from restore.channel.detection import Detector

    return Detector.open(folder)


def _calibration(folder: Path) -> Any:
    from restore.calibration import read_calibration

    return read_calibration(folder)


def _cues(folder: Path) -> Any:
    from restore.cues import Cues

    return Cues.open(folder)


def _tagger(folder: Path) -> Any:
    from restore.models.tagger import Tagger

    return Tagger.open(folder)


READERS: dict[str, Callable[[Path], Any]] = {
    "lexicon": _lexicon, "ngram": _ngram, "wordnet": _wordnet, "stopwords": _stopwords,
    "detection": _detection, "calibration": _calibration, "cues": _cues, "tagger": _tagger,
}  # fmt: skip
READERS = {name: reader for name, reader in READERS.items() if (resources_folder() / name).is_dir()}


@pytest.fixture(params=READERS)
def bundle(request: Any, tmp_path: Path) -> tuple[Callable[[Path], Any], Path]:
    folder = shutil.copytree(resources_folder() / request.param, tmp_path / request.param)
    return READERS[request.param], Path(folder)


def files(folder: Path) -> list[Path]:
    names = json.loads((folder / "card.json").read_text())["files"]
    return [folder / name for name in names if name != "LICENSE"]


def check_refused(reader: Callable[[Path], Any], folder: Path) -> None:
    with pytest.raises(ResourceError, match=r"^[^\n]+$") as error:
        reader(folder)
    assert str(folder) in str(error.value)


def test_every_bundle_has_its_reader() -> None:
    shipped = {path.name for path in resources_folder().iterdir() if (path / "card.json").exists()}
    assert shipped - {"neural"} <= set(READERS)


def test_sound_data_is_read(bundle: Any) -> None:
    reader, folder = bundle
    assert reader(folder) is not None


def test_a_file_is_missing(bundle: Any) -> None:
    reader, folder = bundle
    for path in files(folder):
        path.rename(folder / "away")
        check_refused(reader, folder)
        (folder / "away").rename(path)
    (folder / "card.json").unlink()
    check_refused(reader, folder)


def test_a_file_is_cut_short_or_longer(bundle: Any) -> None:
    reader, folder = bundle
    for path in files(folder):
        data = path.read_bytes()
        for changed in (b"", data[:1], data[:-1], data[: len(data) // 2], data + b"\0"):
            path.unlink()
            path.write_bytes(changed)
            check_refused(reader, folder)
        path.unlink()
        path.write_bytes(data)


def test_a_bit_is_flipped(bundle: Any) -> None:
    reader, folder = bundle
    for path in files(folder):
        data = path.read_bytes()
        for _ in range(3):
            place = random.randrange(len(data))
            path.unlink()
            path.write_bytes(data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :])
            check_refused(reader, folder)
        path.unlink()
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "restore-other"), ("format", None), ("version", 0), ("version", 99), ("version", "1"),
        ("files", {}), ("files", None), ("files", {"../card.json": {"sha256": "0" * 64, "bytes": 1}}),
        ("files", {"a": {"sha256": "0" * 64}}), ("files", {"a": 1}),
    ],
)  # fmt: skip
def test_a_card_is_of_another_kind(bundle: Any, field: str, value: object) -> None:
    reader, folder = bundle
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, field: value}))
    check_refused(reader, folder)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b"\0" * 100])
def test_a_card_is_no_card(bundle: Any, data: bytes) -> None:
    reader, folder = bundle
    (folder / "card.json").write_bytes(data)
    check_refused(reader, folder)
