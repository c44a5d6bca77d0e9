"""The n-gram model's reader: pieces, look-ups, rankings, memory, and what it says of damaged files."""

from __future__ import annotations

import doctest
import json
import math
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import restore.models.ngram
import restore.models.pieces
from restore.bundle import CARD, resources_folder, write_bundle
from restore.errors import ResourceError
from restore.models.ngram import NgramModel
from restore.models.pieces import CLASSES, SPECIALS, Vocabulary, placed, shape, spelling
from restore.models.trie import FORMAT, TENSORS, VERSION, VOCABULARY
from restore.tensors import Array, map_tensors, write_tensors
from restore.training.ngram import train
from restore.units import segment

Change = Callable[[dict[str, Array], bytes], bytes | None]

WORDS = ("the", "a", "of", "and", "man", "woman", "dog", "cat", "saw", "heard", "ran", "house", "US", "I")


def toy_text(seed: int = 0, documents: int = 60) -> str:
    random = np.random.default_rng(seed)
    lines = []
    for _ in range(documents):
        for _ in range(int(random.integers(1, 4))):
            sentences = []
            for _ in range(int(random.integers(1, 4))):
                chosen = [WORDS[min(int(random.zipf(1.5)), len(WORDS)) - 1] for _ in range(int(random.integers(3, 9)))]
                chosen[0] = chosen[0].capitalize()
                joints = random.choice([" ", " ", " ", " ", ", ", "-", " (", "'s "], len(chosen) - 1)
                sentence = chosen[0] + "".join(joint + word for joint, word in zip(joints, chosen[1:], strict=True))
                sentences.append(sentence + random.choice([".", ".", ".", "?"]))
            lines.append(" ".join(sentences))
        lines += ["", "%%%"]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("ngram")
    (home / "text.txt").write_text(toy_text())
    train([home / "text.txt"], home / "model", cutoffs=(1, 1, 2))
    return home / "model"


@pytest.fixture
def model(folder: Path) -> NgramModel:
    return NgramModel.open(folder)


def contexts(model: NgramModel, seed: int = 1, count: int = 300) -> list[tuple[int, ...]]:
    """Contexts of text that the model knows well, and of noise."""
    ids = model.vocabulary.encode(toy_text(seed, 10))
    random = np.random.default_rng(seed)
    noise = random.integers(1, len(model.vocabulary), count).tolist()
    found = [model.start, ()]
    for text in (ids[:count], noise):
        found += [tuple(text[max(0, end - 3) : end]) for end in range(1, len(text))]
    return found


# --- Pieces


def test_the_schemes_examples_hold() -> None:
    failed, attempted = doctest.testmod(restore.models.pieces)
    assert failed == 0 < attempted


@pytest.mark.parametrize(
    ("unit", "joiner", "piece"),
    [
        (" officials", False, "officials"),
        ("officials", False, "officials"),
        (" U.S.", False, "U.S."),
        (" don\u2019t", False, "don't"),
        ("'s", False, "'s"),
        ("\u2019s", False, "'s"),
        (",", False, ","),
        (",", True, ",+"),
        (" (", True, " ("),
        ("(", True, "("),
        ('"', True, ' "'),
        (' "', True, ' "'),
        ('"', False, '"'),
        (" \u201c", True, ' "'),
        ("\u2026", False, "..."),
        (" $", True, " $+"),
        ("\n", False, "<p>"),
        ("\r\n", False, "<p>"),
    ],
)
def test_spelling(unit: str, joiner: bool, piece: str) -> None:
    assert spelling(unit, joiner) == piece


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("naïve", "<lower>"), ("don't", "<lower>"), ("Bo", "<Title>"), ("Q", "<UPPER>"), ("U.N.", "<UPPER>"),
        ("iPod", "<Mixed>"), ("O'Rourke", "<Mixed>"), ("19th", "<a1>"), ("7", "<1>"), ("12345678", "<5>"),
        ("\u4e2d\u6587", "<Mixed>"), ("\N{THUMBS UP SIGN}", "<mark>"), ("", "<mark>"), (" ", "<mark>"),
    ],
)  # fmt: skip
def test_shape(form: str, name: str) -> None:
    assert shape(form) == name


def test_placed_leaves_out_loose_space_and_repeated_breaks() -> None:
    units = segment("One,  two.\n\nThree 6,000")
    kept = [(unit, initial, joiner) for unit, initial, joiner in placed(units)]
    assert [unit for unit, _, _ in kept] == ["One", ",", " two", ".", "\n", "Three", " 6", ",", "000"]
    assert [unit for unit, initial, _ in kept if initial] == ["One", "\n", "Three"]
    assert [joiner for unit, _, joiner in kept if unit == ","] == [False, True]


def test_truecasing() -> None:
    vocabulary = Vocabulary((*SPECIALS, "the", "I", "may", "US", "May", "us", "The", "i"))

    def piece(unit: str, initial: bool) -> str:
        return vocabulary.pieces[vocabulary.piece(unit, initial=initial, joiner=False)]

    assert piece("The", True) == "the"
    assert piece("The", False) == "The"
    assert piece(" May", True) == "may"  # the commoner of the two
    assert piece(" US", True) == "US"
    assert piece("I", True) == "I"
    assert piece("Zork", True) == "<Title>"
    assert piece("the", True) == "the"


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        (("the", *SPECIALS), "special pieces"),
        ((*SPECIALS, "a", "b", "a"), "twice"),
        ((*SPECIALS, *map(str, range(65_536))), "65536 is the most|65,536|65536"),
    ],
)
def test_vocabulary_checks(pieces: tuple[str, ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Vocabulary(pieces)


def test_pieces_of_the_model(model: NgramModel) -> None:
    dog = model.piece(" dog", initial=False, joiner=False)
    assert dog == model.piece("Dog", initial=True, joiner=False) == model.vocabulary.id("dog")
    zork = model.piece(" zork", initial=False, joiner=False)
    assert model.is_class(zork)
    assert not model.is_class(dog)
    assert not model.is_class(model.end)
    assert model.class_logprob.shape == (len(model.vocabulary),)
    assert model.class_logprob[zork] < 0 == model.class_logprob[dog]
    assert model.start == (model.vocabulary.id("<s>"),)


# --- Look-ups


def test_probabilities_sum_to_one(model: NgramModel) -> None:
    everything = np.arange(len(model.vocabulary))
    for context in contexts(model)[::20]:
        total = np.exp(model.logprobs(context, everything).astype(float)).sum()
        assert total == pytest.approx(1, abs=0.03)  # what is left is quantisation


def test_ways_to_ask_agree(model: NgramModel) -> None:
    pieces = np.array([20, 14, 1, 20], dtype=np.int32)
    for context in contexts(model):
        found = model.logprobs(context, pieces)
        assert found.dtype == np.float32
        one_by_one = [model.logprob(context, int(piece)) for piece in pieces]
        assert found.tolist() == np.array(one_by_one, dtype=np.float32).tolist()
        assert one_by_one == model.scores(context, pieces.tolist())


def test_push_cuts_contexts_without_loss(model: NgramModel) -> None:
    pieces = model.vocabulary.encode(toy_text(2, 5))
    everything = np.arange(len(model.vocabulary))
    context, whole = model.start, model.start
    lengths = set()
    for piece in pieces:
        context, whole = model.push(context, piece), (*whole, piece)
        assert context == whole[len(whole) - len(context) :]
        assert (model.logprobs(context, everything) == model.logprobs(whole[-3:], everything)).all()
        assert model.push(whole, piece) == model.push(context, piece)
        lengths.add(len(context))
    assert lengths >= {1, 2, 3}


def test_a_piece_out_of_range(model: NgramModel) -> None:
    with pytest.raises(IndexError, match="no piece has the id 70000"):
        model.logprob((), 70_000)


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_continuations_equal_brute_force(model: NgramModel, share: float) -> None:
    random = np.random.default_rng(3)
    allowed = random.random(len(model.vocabulary)) < share
    allowed[model.end] = True
    ids = np.flatnonzero(allowed)
    for context in contexts(model):
        for k in (1, 16):
            pieces, logprobs = model.continuations(context, allowed, k)
            wanted = sorted((-model.logprob(context, piece), piece) for piece in ids.tolist())[:k]
            assert pieces.tolist() == [piece for _, piece in wanted]
            assert logprobs.tolist() == np.array([-cost for cost, _ in wanted], dtype=np.float32).tolist()


def test_rankings_do_not_depend_on_what_was_asked_before(folder: Path) -> None:
    random = np.random.default_rng(4)
    size = len(NgramModel.open(folder).vocabulary)
    masks = [random.random(size) < share for share in (0.2, 0.5, 0.8, 0.9)]
    asked = [
        (context, mask, k) for context in contexts(NgramModel.open(folder), count=40) for mask in masks for k in (3, 9)
    ]
    in_order, shuffled = NgramModel.open(folder), NgramModel.open(folder)
    found = [in_order.best(*question) for question in asked]
    order = random.permutation(len(asked)).tolist()
    again = {number: shuffled.best(*asked[number]) for number in order}
    assert found == [again[number] for number in range(len(asked))]


@pytest.mark.parametrize("order", [2, 3])
def test_lower_orders(folder: Path, tmp_path: Path, order: int) -> None:
    train([folder.parent / "text.txt"], tmp_path, order=order, cutoffs=(1,))
    model = NgramModel.open(tmp_path)
    mask = np.arange(len(model.vocabulary)) % 3 > 0
    for context in contexts(model, count=50):
        wanted = sorted((-model.logprob(context, piece), piece) for piece in np.flatnonzero(mask).tolist())[:5]
        assert model.best(context, mask, 5)[0] == tuple(piece for _, piece in wanted)
        assert len(model.push(context, 14)) < order


def test_nothing_allowed(model: NgramModel) -> None:
    pieces, logprobs = model.continuations((), np.zeros(len(model.vocabulary), dtype=bool), 5)
    assert pieces.size == logprobs.size == 0


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore.models.ngram, "CACHE_BYTES", 20_000)


def walk(model: NgramModel, seed: int) -> list[Any]:
    """Ask all kinds of questions along a text; return the answers."""
    mask = np.random.default_rng(seed).random(len(model.vocabulary)) < 0.5
    context, answers = model.start, []
    for piece in model.vocabulary.encode(toy_text(seed, 6)):
        answers.append((model.logprob(context, piece), model.best(context, mask, 8)))
        context = model.push(context, piece)
    return answers


def test_forgetting_changes_nothing(folder: Path, forgetful: None, monkeypatch: pytest.MonkeyPatch) -> None:
    few = [walk(NgramModel.open(folder), seed) for seed in range(3)]
    monkeypatch.undo()
    assert few == [walk(NgramModel.open(folder), seed) for seed in range(3)]


def test_memory_is_bounded(folder: Path, forgetful: None) -> None:
    model = NgramModel.open(folder)
    most = 0
    for seed in range(4):
        for context in contexts(model, seed):
            model.logprob(context, 20)
            most = max(most, len(model._nodes))
    assert most < 60


def test_threads(folder: Path, forgetful: None) -> None:
    model = NgramModel.open(folder)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda seed: walk(model, seed), range(16)))
    alone = NgramModel.open(folder)
    assert found == [walk(alone, seed) for seed in range(16)]


# --- The files


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def remade(folder: Path, out: Path, change: Change) -> Path:
    """A bundle like the one in `folder` but for `change`, with checksums that fit."""
    arrays = {name: array.copy() for name, array in map_tensors(folder / TENSORS).items()}
    words = (folder / VOCABULARY).read_bytes()
    words = change(arrays, words) or words
    write_bundle(
        out, FORMAT, VERSION,
        {VOCABULARY: lambda path: _write(path, words), TENSORS: lambda path: write_tensors(path, arrays)},
        {},
    )  # fmt: skip
    return out


def test_remade_is_sound(folder: Path, tmp_path: Path) -> None:
    NgramModel.open(remade(folder, tmp_path / "same", lambda arrays, words: None))


def _assign(name: str, value: Callable[[Array], Array]) -> Change:
    def change(arrays: dict[str, Array], words: bytes) -> None:
        arrays[name] = value(arrays[name])

    return change


def _drop(name: str) -> Change:
    def change(arrays: dict[str, Array], words: bytes) -> None:
        del arrays[name]

    return change


def _set(name: str, place: int, value: float) -> Change:
    def change(arrays: dict[str, Array], words: bytes) -> None:
        arrays[name][place] = value

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_drop("2.logprob"), "array 2.logprob is missing"),
        (_assign("2.piece", lambda array: array[:-1]), "array 2.piece is uint16"),
        (_assign("2.piece", lambda array: array.astype(np.uint32)), "array 2.piece is uint32"),
        (_assign("1.logprob", lambda array: array[None]), "array 1.logprob is float32"),
        (_assign("3.children", lambda array: array[1:]), "array 3.children"),
        (_set("3.children", 0, 9), "array 4.piece"),
        (_set("1.children", 3, 2**32 - 1), "32 bits|array 2.piece"),
        (_set("2.piece", 0, 60_000), "id 60000"),
        (_assign("2.piece", lambda array: array[::-1].copy()), "array 2.piece is not sorted"),
        (_set("1.backoff", 5, np.nan), "array 1.backoff"),
        (_set("2.logprob.table", 5, 0.5), "array 2.logprob.table"),
        (_set("class.logprob", 0, -np.inf), "array class.logprob"),
        (_set("2.context", -1, 2**64 - 1), "array 2"),
        (lambda arrays, words: words[4:], "special pieces"),
        (lambda arrays, words: words + b"new\n", "array 1.logprob"),
        (lambda arrays, words: words + b"the\n", "twice"),
        (lambda arrays, words: words + b"\xff\n", "utf-8"),
    ],
)
def test_unsound_bundles(folder: Path, tmp_path: Path, change: Change, why: str) -> None:
    with pytest.raises(ResourceError, match=why):
        NgramModel.open(remade(folder, tmp_path / "bad", change))


@pytest.mark.parametrize("name", [TENSORS, VOCABULARY])
def test_damaged_files(folder: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "copy"
    for damage in (
        lambda data: data[:-1],
        lambda data: b"",
        lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :],
    ):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        (copy / name).write_bytes(damage((folder / name).read_bytes()))
        with pytest.raises(ResourceError, match=name):
            NgramModel.open(copy)
    (copy / name).unlink()
    with pytest.raises(ResourceError, match="No such file"):
        NgramModel.open(copy)


@pytest.mark.parametrize(
    ("change", "why"),
    [({"version": 2}, "format version 2"), ({"format": "restore-lexicon"}, "holds 'restore-lexicon'")],
)
def test_other_bundles(folder: Path, tmp_path: Path, change: dict[str, Any], why: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    card = json.loads((copy / CARD).read_text())
    (copy / CARD).write_text(json.dumps({**card, **change}))
    with pytest.raises(ResourceError, match=why):
        NgramModel.open(copy)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x08", b"\xff" * 16, (2).to_bytes(8, "little") + b"[]", (2).to_bytes(8, "little") + b"{x",
        (50).to_bytes(8, "little") + b'{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}'[:50],
        (51).to_bytes(8, "little") + b'{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}'[:51] + b"12",
        (53).to_bytes(8, "little") + b'{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}' + b"12345678",
    ],
)  # fmt: skip
def test_tensor_files_that_are_not(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(ResourceError, match=r"x\.safetensors"):
        map_tensors(tmp_path / "x.safetensors")


def test_tensor_files(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    arrays: dict[str, Array] = {
        "b": np.arange(5, dtype=np.uint8),
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "c": np.zeros(0, np.uint16),
    }
    write_tensors(tmp_path / "ours", arrays)
    safetensors.save_file(arrays, tmp_path / "theirs")
    for found in (
        map_tensors(tmp_path / "ours"),
        map_tensors(tmp_path / "theirs"),
        safetensors.load_file(tmp_path / "ours"),
    ):
        assert found.keys() == arrays.keys()
        assert all(
            np.array_equal(found[name], array) and found[name].dtype == array.dtype for name, array in arrays.items()
        )
    with pytest.raises(ValueError, match="read-only"):
        map_tensors(tmp_path / "ours")["b"][0] = 1


# --- The model that comes with restore


def test_the_shipped_model() -> None:
    folder = resources_folder() / "ngram"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 25_000_000
    model = NgramModel.open(folder)
    assert model.order >= 3
    totals = [
        np.exp(model.logprobs(context, np.arange(len(model.vocabulary))).astype(float)).sum()
        for context in (model.start, tuple(model.vocabulary.encode("one of the")))
    ]
    assert totals == pytest.approx([1, 1], abs=0.02)

    def logprob(text: str) -> float:
        total, context = 0.0, model.start
        for piece in (*model.vocabulary.encode(text), model.end):
            total += model.logprob(context, piece)
            context = model.push(context, piece)
        return total

    assert logprob("US immigration officials were shocked this week.") > logprob(
        "US immigration officials was shocked this week."
    )
    assert logprob("About 6,000 people came.") > logprob("About 6 000 people came.")
    assert math.isfinite(logprob("\N{THUMBS UP SIGN} zork-B2B \u4e2d\u6587!"))
    assert set(model.vocabulary.pieces[2:13]) == set(CLASSES)
