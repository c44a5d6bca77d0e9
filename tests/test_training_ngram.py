"""Estimation of n-gram models: against a slow reference, its sums, its documents, its vocabulary, its bundle."""

from __future__ import annotations

import gzip
import lzma
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from restore.errors import InputError
from restore.models.ngram import NgramModel
from restore.models.pieces import CLASSES, SPECIALS, Vocabulary
from restore.models.trie import read_trie
from restore.training.documents import read_documents
from restore.training.kneser_ney import estimate, logprobs
from restore.training.ngram import choose_pieces, class_logprob, pack, perplexity, quantise, read_corpus, train

Gram = tuple[int, ...]
Documents = Iterable[Sequence[int]]

SIZE = 30  # ids of the toy corpus; 0 begins a document, 1 ends it


@lru_cache
def toy_documents(seed: int, count: int = 60, length: int = 40) -> list[list[int]]:
    """Documents of a random language with habits: each word prefers some successors."""
    random = np.random.default_rng(seed)
    zipf = 1 / np.arange(1, SIZE - 1)
    odds = np.array([random.permutation(zipf) + 0.05 * zipf for _ in range(SIZE)])
    steps = np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)
    documents = []
    for _ in range(count):
        words = [0]
        for chance in random.random(length):
            words.append(min(int(np.searchsorted(steps[words[-1]], chance)), SIZE - 3) + 2)
        documents.append([*words, 1])
    return documents


def stream_of(documents: Documents) -> npt.NDArray[np.uint16]:
    return np.array([word for document in documents for word in document], dtype=np.uint16)


class Reference:
    """Interpolated modified Kneser-Ney as Chen & Goodman write it, with plain dicts."""

    def __init__(self, documents: Documents, order: int) -> None:
        self.order = order
        raw: list[Counter[Gram]] = [Counter() for _ in range(order + 1)]
        for words in documents:
            for length in range(1, order + 1):
                for end in range(max(length, 2), len(words) + 1):
                    raw[length][tuple(words[end - length : end])] += 1
        self.adjusted: list[Counter[Gram]] = [Counter() for _ in range(order + 1)]
        for length in range(1, order + 1):
            before: dict[Gram, set[int]] = defaultdict(set)
            if length < order:
                for gram in raw[length + 1]:
                    before[gram[1:]].add(gram[0])
            for gram, times in raw[length].items():
                begins = length > 1 and gram[0] == 0
                self.adjusted[length][gram] = times if length == order or begins else len(before[gram])
        self.discounts = [self._discounts(counts) for counts in self.adjusted]
        self.children: list[dict[Gram, dict[int, int]]] = [defaultdict(dict) for _ in range(order + 1)]
        for length in range(1, order + 1):
            for gram, times in self.adjusted[length].items():
                self.children[length][gram[:-1]][gram[-1]] = times

    @staticmethod
    def _discounts(counts: Counter[Gram]) -> dict[int, float]:
        n = Counter(counts.values())
        if not (n[1] and n[2] and n[3] and n[4]):
            return {1: 0.5, 2: 1.0, 3: 1.5}
        y = n[1] / (n[1] + 2 * n[2])
        return {1: 1 - 2 * y * n[2] / n[1], 2: 2 - 3 * y * n[3] / n[2], 3: 3 - 4 * y * n[4] / n[3]}

    def probability(self, word: int, context: Sequence[int]) -> float:
        context = tuple(context)[-(self.order - 1) :]
        length = len(context) + 1
        lower: float = self.probability(word, context[1:]) if context else 1 / (SIZE - 1)
        seen = self.children[length][context]
        if not seen:
            return lower
        discount = self.discounts[length]
        total = sum(seen.values())
        gamma = sum(discount[min(times, 3)] for times in seen.values()) / total
        own = (seen[word] - discount[min(seen[word], 3)]) / total if word in seen else 0.0
        return own + gamma * lower


@pytest.mark.parametrize("order", [2, 3, 4])
def test_estimate_equals_the_reference(order: int) -> None:
    documents = toy_documents(1)
    levels = estimate(stream_of(documents), SIZE, order)
    reference = Reference(documents, order)
    assert all(reference.discounts[length] != {1: 0.5, 2: 1.0, 3: 1.5} for length in range(2, order + 1))
    unseen = toy_documents(2, count=5)  # other habits, so other n-grams
    for tested in (documents[:5], unseen):
        wanted = [
            math.log(reference.probability(words[end], words[max(0, end - order + 1) : end]))
            for words in tested
            for end in range(1, len(words))
        ]
        assert logprobs(levels, stream_of(tested)) == pytest.approx(wanted, abs=1e-9)


def test_a_tiny_corpus_has_default_discounts() -> None:
    documents = [[0, 2, 3, 1], [0, 2, 4, 1]]
    reference = Reference(documents, 3)
    found = logprobs(estimate(stream_of(documents), SIZE, 3), stream_of(documents))
    wanted = [math.log(reference.probability(d[end], d[max(0, end - 2) : end])) for d in documents for end in (1, 2, 3)]
    assert found == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"cutoffs": (2, 2, 3)},
        {"cutoffs": (1, 2, 1)},  # the fourth order only where the third is kept
        {"threshold": 1e-4},
        {"threshold": 1e-3, "cutoffs": (0, 1.5, 1.5), "weighted": True},
    ],
)
def test_probabilities_sum_to_one(settings: dict[str, Any]) -> None:
    documents = toy_documents(3)
    stream = stream_of(documents)
    options = dict(settings)
    if options.pop("weighted", False):
        third = stream.size // 3
        options["weights"] = np.repeat(np.array([0.3, 1, 7], dtype=np.float32), [third, third, stream.size - 2 * third])
    levels = estimate(stream, SIZE, 4, **options)
    for context in ([], [5], [2, 3], [4, 9, 2], documents[7][3:6], [29, 29, 29]):
        words = [word for word in range(SIZE) if word]
        ends = len(context) + 1
        together = stream_of([0, *context, word] for word in words)
        last = logprobs(levels, together)[ends - 1 :: ends]
        assert np.exp(last).sum() == pytest.approx(1, abs=1e-9)


def test_pruning_keeps_what_matters_most() -> None:
    stream = stream_of(toy_documents(4))
    whole = estimate(stream, SIZE, 3)
    pruned = estimate(stream, SIZE, 3, threshold=3e-4)
    cut = estimate(stream, SIZE, 3, cutoffs=(1, 3))
    sizes = [sum(level.keys.size for level in levels) for levels in (whole, pruned, cut)]
    assert sizes[1] < sizes[2] < sizes[0]
    held = stream_of(toy_documents(4, count=90)[60:])
    assert logprobs(pruned, held).mean() > logprobs(cut, held).mean() - 0.01
    for level, below in zip(pruned[1:], pruned, strict=False):  # prefixes and suffixes are kept
        assert np.isin(level.keys >> np.uint64(16), below.keys).all()
        assert np.isin(level.keys & np.uint64((1 << 16 * 2) - 1), pruned[1].keys).all()


def test_weights() -> None:
    documents = toy_documents(5)
    stream = stream_of(documents)
    plain = logprobs(estimate(stream, SIZE, 3), stream)
    same = estimate(stream, SIZE, 3, weights=np.full(stream.size, 0.25, dtype=np.float32))
    assert logprobs(same, stream) == pytest.approx(plain, abs=1e-6)
    half = stream_of(documents[:30]).size
    favoured = estimate(
        stream, SIZE, 3, weights=np.repeat(np.array([5, 1], dtype=np.float32), [half, stream.size - half])
    )
    gain = logprobs(favoured, stream) - plain
    assert gain[: half - 30].mean() > 0 > gain[half - 30 :].mean()


@pytest.mark.parametrize("order", [1, 5])
def test_order_out_of_range(order: int) -> None:
    with pytest.raises(ValueError, match="order must be 2 to 4"):
        estimate(np.zeros(3, dtype=np.uint16), SIZE, order)


def test_quantisation_error_is_bounded() -> None:
    values = -np.random.default_rng(6).exponential(4, 5000)
    codes, table = quantise(values)
    assert np.abs(table[codes] - values).max() <= -values.min() / 510 + 1e-5
    assert table[-1] == 0

    stream = stream_of(toy_documents(7))
    levels = estimate(stream, SIZE, 4)
    pieces = tuple(f"w{number}" for number in range(SIZE - len(SPECIALS)))
    model = NgramModel(
        Vocabulary((*SPECIALS, *pieces)), read_trie(pack(levels, np.zeros(len(CLASSES), np.float32)), SIZE)
    )
    exact, found = logprobs(levels, stream), []
    for word in stream.tolist():
        if word == 0:
            context = model.start
        else:
            found.append(model.logprob(context, word))
            context = model.push(context, word)
    step = max(-level.logprob.min() for level in levels[1:]) / 510
    back = max(-level.backoff.min() for level in levels[1:]) / 510
    assert np.abs(exact - found).max() <= step + 2 * back + 1e-5


TEXT = """\
The cat saw the dog. The dog saw the cat, and the cat ran.
"May I see the US?" said the man. I may see the dog in May.

%%%
The man paid 6,000 dollars in 1999 (or so). He saw the non-violent dog.
The US man ran. The dog's man ran. The man ran.

%%%
"""


def test_documents(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\ufeffOne.\r\nTwo.\n\n%%%\n\n%%%\n Three. \n", encoding="utf-8")
    assert list(read_documents(tmp_path / "a.txt")) == ["One.\nTwo.", "Three."]
    (tmp_path / "b.txt.xz").write_bytes(lzma.compress(TEXT.encode()))
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(TEXT.encode()))
    assert list(read_documents(tmp_path / "b.txt.xz")) == list(read_documents(tmp_path / "c.txt.gz"))
    assert len(list(read_documents(tmp_path / "b.txt.xz"))) == 2
    (tmp_path / "empty.txt").write_text("")
    assert list(read_documents(tmp_path / "empty.txt")) == []


def test_documents_that_cannot_be_read(tmp_path: Path) -> None:
    bad = tmp_path / "latin.txt"
    bad.write_bytes(b"fine\ncaf\xe9\n")
    with pytest.raises(InputError, match=r"latin\.txt, line 2: byte 0xe9 is not UTF-8"):
        list(read_documents(bad))
    for name, data in (("a.txt.xz", b"no xz"), ("b.txt.gz", b"no gz"), ("c.txt.gz", gzip.compress(b"text" * 99)[:-9])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            list(read_documents(tmp_path / name))
    with pytest.raises(InputError, match="No such file"):
        list(read_documents(tmp_path / "none.txt"))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT * 3, encoding="utf-8")
    return path


def test_vocabulary_is_truecased(text: Path) -> None:
    vocabulary = choose_pieces(read_corpus([text], lambda line: None), 100)
    assert {"the", "cat", "I", "May", "may", "US", ",", ".", ",+", "-+", "'s", ' "', '"', " ("} <= set(
        vocabulary.pieces
    )
    assert not {"The", "us", "6", "1999", "("} & set(vocabulary.pieces)  # 6 and 1999 are not met often enough
    assert vocabulary.id("the") < vocabulary.id("cat")
    few = choose_pieces(read_corpus([text], lambda line: None), len(SPECIALS) + 2)
    assert set(few.pieces[len(SPECIALS) :]) == {"the", "."}


def test_class_shares(text: Path) -> None:
    corpus = read_corpus([text], lambda line: None)
    vocabulary = choose_pieces(corpus, 100)
    stream = corpus.stream(vocabulary)
    shares = class_logprob(stream, None)
    four = CLASSES.index("<4>")  # 1999, three times
    assert shares[four] == pytest.approx(math.log(3 / (stream != vocabulary.id("<s>")).sum()), abs=1e-6)
    assert (shares <= 0).all()


def test_train(text: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    about = {"about": "A toy.", "licence": "CC0"}
    bundle = train([text], tmp_path / "out", order=3, cutoffs=(1, 1), dev=[text], about=about, progress=lines.append)
    assert bundle.card["about"] == "A toy."
    assert bundle.card["settings"]["order"] == 3
    model = NgramModel.open(tmp_path / "out")
    assert model.order == 3
    even = list(read_documents(text))[1::2]
    assert bundle.card["perplexity"] == {"text": round(perplexity(model, even), 1)}
    assert perplexity(model, even) < 8
    assert lines[0] == "reading text.txt"
    again = train([text], tmp_path / "again", order=3, cutoffs=(1, 1), dev=[text], about=about)
    assert again.card == bundle.card  # with the checksums


def test_train_with_weights(text: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt.xz"
    other.write_bytes(lzma.compress(b"The cat saw the cat. The cat saw the cat.\n\n%%%\n" * 9))
    train([text, other], tmp_path / "plain", order=2, cutoffs=(1,))
    train([text, other], tmp_path / "weighted", order=2, cutoffs=(1,), weights={"other": 0.1})
    plain, weighted = NgramModel.open(tmp_path / "plain"), NgramModel.open(tmp_path / "weighted")
    the, cat = plain.vocabulary.id("the"), plain.vocabulary.id("cat")
    assert plain.logprob((the,), cat) > weighted.logprob((the,), cat) + 0.1
    with pytest.raises(InputError, match="no training file is called othr"):
        train([text, other], tmp_path / "bad", weights={"othr": 2})


def test_a_measure_on_one_document_is_refused(text: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.txt"
    one.write_text("The cat saw the dog.")
    lines: list[str] = []
    with pytest.raises(InputError, match=r"one\.txt: holds one document"):
        train([text], tmp_path / "out", dev=[one], progress=lines.append)
    assert not lines  # before the work


def test_train_on_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n%%%\n")
    with pytest.raises(InputError, match="no text to train on"):
        train([tmp_path / "empty.txt"], tmp_path / "out")
    with pytest.raises(ValueError, match="vocabulary must be"):
        train([tmp_path / "empty.txt"], tmp_path / "out", vocabulary=70_000)


def test_train_on_one_word(tmp_path: Path) -> None:
    (tmp_path / "word.txt").write_text("Word")
    train([tmp_path / "word.txt"], tmp_path / "out")
    model = NgramModel.open(tmp_path / "out")
    total = np.exp(model.logprobs(model.start, np.arange(len(model.vocabulary))).astype(float)).sum()
    assert total == pytest.approx(1, abs=0.02)
