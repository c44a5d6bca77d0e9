"""What is fuzzed: for each target a check of one input, which raises if something is not as promised."""

from __future__ import annotations

import importlib.resources
import importlib.util
import io
import json
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np

from restore import ChannelError, Restoration, RestoreError, Restorer, channel_names, get_channel
from restore.batch.lines import BOM
from restore.bundle import open_bundle, resources_folder
from restore.channel.definition import read_channel
from restore.errors import ResourceError
from restore.lattice import FormFinder, GapGrammar
from restore.lattice.gaps import Position, Side
from restore.lexicon import Lexicon, default_lexicon
from restore.models.base import Encoded, Expansion, Request, Window
from restore.source import read_source
from restore.units import segment

Check = Callable[[bytes], None]
TARGETS: dict[str, Callable[[], AbstractContextManager[Check]]] = {}

TESTS = Path(__file__).resolve().parent.parent
LONGEST = 80
"""Texts are cut to so many characters, so that a second sees many of them."""


def target(make: Callable[[], Iterator[Check]]) -> Callable[[], AbstractContextManager[Check]]:
    """Enter a target under its function's name."""
    manager = contextmanager(make)
    TARGETS[make.__name__.strip("_")] = manager
    return manager


def load(path: Path) -> ModuleType:
    """Load a module of the tests by its path."""
    spec = importlib.util.spec_from_file_location(f"fuzz_{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def one_line(error: RestoreError) -> None:
    """Check that an error is fit to print."""
    assert "\n" not in str(error)


def text_of(data: bytes, longest: int = LONGEST) -> tuple[str, str]:
    """Return the channel that an input's first byte names, and the rest as a text."""
    names = channel_names()
    text = data[1:].decode("utf-8", "replace")[:longest]
    return names[data[0] % len(names) if data else 0], text


@target
def channel() -> Iterator[Check]:
    """Stripping: tokens stand where they say, in order, and the text is made of them."""

    def check(data: bytes) -> None:
        name, text = text_of(data, 5000)
        channel = get_channel(name)
        tokens = channel.tokens(text)
        assert channel.strip(text) == " ".join(token.text for token in tokens)
        place = 0
        for token in tokens:
            assert place <= token.start < token.end <= len(text)
            assert channel.image(text[token.start : token.end]) == token.text
            assert not token.text or not token.text.isspace()
            place = token.end
        assert "".join(piece.text for piece in read_source(text, channel)) == "".join(text.split())

    yield check


@target
def definition() -> Iterator[Check]:
    """Channels in TOML: a clear error, or a channel that works."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ours.toml"
        (Path(folder) / "ours.txt").write_text("said mr")

        def check(data: bytes) -> None:
            path.write_bytes(data)
            try:
                channel = read_channel(path)
            except ChannelError:
                return
            for text in ("The U.S. has deported 6,000 men.", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!b"):
                assert isinstance(channel.strip(text), str)
                assert list(read_source(text, channel))

        yield check


@target
def lattice() -> Iterator[Check]:
    """Forms strip to their tokens, and what a gap may take vanishes."""

    @cache
    def tools(name: str) -> tuple[FormFinder, GapGrammar]:
        channel = get_channel(name)
        return FormFinder(channel, default_lexicon()), GapGrammar(channel, default_lexicon())

    def check(data: bytes) -> None:
        name, text = text_of(data, 200)
        finder, grammar = tools(name)
        for token in text.split()[:8]:
            forms = finder.forms(token)
            assert forms.single
            for form in forms.single:
                assert form.kept or finder.makes(form.text, [token])
                assert form.text == token or not form.kept
            for image, form in forms.joint:
                assert finder.makes(form.text, image)
                assert len(image) == form.span > 1
        if data:
            sides = list(Side)
            left, right = sides[data[0] % len(sides)], sides[data[-1] % len(sides)]
            for insertion in grammar.menu(Position(), left, right):
                assert insertion.text

    yield check


def check_history(result: Restoration, text: str) -> None:
    """Check that a restoration can be replayed and undone."""
    assert result.source == text
    assert result.replay() == result.text
    assert result.undo() == text
    places = [edit.source_start for edit in result.edits]
    assert places == sorted(places)
    for edit in result.edits:
        assert text[edit.source_start : edit.source_end] == edit.before
        assert result.text[edit.start : edit.end] == edit.after


class ChanceModel:
    """A model that likes things by chance, as the tests have one, but quick."""

    name, window, merges_marks, takes_runs = "chance", None, False, False

    @property
    def streams(self) -> tuple[ChanceModel]:
        return (self,)

    def begin(self, source: Sequence[str], prefix: str = "") -> int:
        return zlib.crc32(prefix.encode())

    def encode(self, text: str, *, initial: bool, touched: bool, logprob: float) -> Encoded:
        return Encoded(tuple(zlib.crc32(unit.encode()) for unit in segment(text)))

    def expand(self, requests: Sequence[Request]) -> list[Expansion]:
        return [self._expand(request) for request in requests]

    def _expand(self, request: Request) -> Expansion:
        state = request.state if request.pending is None else request.pending
        insertions: list[tuple[int, float]] = []
        if request.insertions is not None:
            likes = self._like(state, request.insertions.ids)
            best = np.argsort(-likes, kind="stable")[: request.best]
            insertions = list(zip(best.tolist(), likes[best].tolist(), strict=True))
        forms = [] if request.forms is None else self._like(state, request.forms.ids).tolist()
        return Expansion(state, insertions, forms)

    def _like(self, state: int, ids: Any) -> Any:
        return -((state * 31 + ids * 17) % 1009) / 100

    def key(self, state: int, pending: int | None) -> int:
        return state if pending is None else pending


class ChanceRestorer(Restorer):
    """A restorer with that model."""

    @property
    def _model(self) -> ChanceModel:  # type: ignore[override]
        model = ChanceModel()
        if self.config.beam == 2:
            model.window, model.merges_marks = Window(2, 3, 2), True  # type: ignore[assignment]
        return model


@target
def decoder() -> Iterator[Check]:
    """The promise: what a channel made of a text, restored and stripped, is that again; any other text keeps its tokens."""

    @cache
    def restorer(name: str, beam: int) -> Restorer:
        return ChanceRestorer(channel=name, beam=beam, repair=False)

    def check(data: bytes) -> None:
        name, text = text_of(data)
        here = restorer(name, 2 + len(data) % 2)
        stripped = here.channel.strip(text)
        result = here.restore(stripped)
        assert here.channel.strip(result.text) == stripped
        assert not result.kept
        check_history(result, stripped)
        result = here.restore(text)
        check_history(result, text)
        assert len(result.spans) == len(text.split()) or result.notes

    yield check


@target
def repair() -> Iterator[Check]:
    """With repairs the promise holds for the mended text, and the input comes back all the same."""

    @cache
    def restorer(name: str) -> Restorer:
        return Restorer(channel=name, engine="fast", beam=2)

    def check(data: bytes) -> None:
        name, text = text_of(data, 200)
        here = restorer(name)
        stripped = here.channel.strip(text)
        result = here.restore(stripped)
        check_history(result, stripped)
        mended, place = "", 0
        for repair in result.repairs:
            assert stripped[repair.source_start : repair.source_end] == repair.before
            assert place <= repair.source_start
            mended += stripped[place : repair.source_start] + repair.after
            place = repair.source_end
        if not result.notes:
            # A word that was read as a dropped one (`a` in a glued pair) may stand in the text as any other.
            def kept(text: str) -> list[str]:
                dropped = here.channel.stop_words
                return [word for word in text.split() if word not in dropped and here.channel.image(word) is not None]

            assert kept(here.channel.strip(result.text)) == kept(mended + stripped[place:])

    yield check


@target
def page() -> Iterator[Check]:
    """Pages: every character of a hostile text is text, whatever it looks like."""
    from html.parser import HTMLParser

    from restore.render.page import render_page

    class Parser(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: set[str] = set()
            self.attributes: set[str] = set()

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.add(tag)
            self.attributes |= {name for name, _ in attrs}

    def seen(restoration: Restoration, name: str) -> tuple[set[str], set[str], int]:
        page = render_page(restoration, name)
        parser = Parser()
        parser.feed(page)
        return parser.tags, parser.attributes, page.count("<script")

    restorer = ChanceRestorer(beam=3, repair=False)
    templates = "".join(
        path.read_text() for path in importlib.resources.files("restore.render").joinpath("templates").iterdir()
    )
    ours = set(re.findall(r"<([a-z0-9]+)", templates)) | {"bdi"}
    _, attributes, scripts = seen(restorer.restore("official said court ruled week"), "name")

    def check(data: bytes) -> None:
        text = data.decode("utf-8", "replace")[:LONGEST]
        found = seen(restorer.restore(text), text[:40])
        assert found[0] <= ours
        assert not {name for name in found[1] - attributes if name.startswith("on") or name in ("src", "style")}
        assert found[2] == scripts

    yield check


@target
def batch() -> Iterator[Check]:
    """Tables: one line of error, or a row for each row. The first byte says of what kind the input is."""
    conftest = load(TESTS / "batch" / "conftest.py")
    kinds = ["a.jsonl", "a.csv", "a.tsv", "a.jsonl.gz", "a.csv.xz", "a.jsonl.zst", "a.parquet", "a"]

    def check(data: bytes) -> None:
        name = kinds[(data[0] if data else 0) % len(kinds)]
        with tempfile.TemporaryDirectory() as folder:
            source, out = Path(folder) / name, Path(folder) / name.replace("a", "b", 1)
            if name == "a":
                source.mkdir()
                (source / "x.txt").write_bytes(data[1:])
                (source / "y.txt.gz").write_bytes(data[1:])
            else:
                source.write_bytes(data[1:])
            try:
                progress, bad = conftest.run_job(source, out, max_bytes=20_000)
            except RestoreError as error:
                one_line(error)
                return
            assert all("\n" not in message for message in bad)
            assert progress.errors == len(bad)
            if name.startswith("a.jsonl"):
                from restore.batch.compression import open_input

                stream, _ = open_input(out)
                with stream:
                    rows = [json.loads(line) for line in stream.read().split(b"\n")[:-1]]
                assert len(rows) == progress.rows
                assert sum(row["error"] is not None for row in rows) == progress.errors
            elif name == "a.parquet":
                import pyarrow.parquet as pq

                assert pq.ParquetFile(out).metadata.num_rows == progress.rows
            elif name in ("a.csv", "a.tsv"):
                import csv

                text = out.read_bytes().removeprefix(BOM).decode()
                delimiter = "\t" if name == "a.tsv" else ","
                records = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
                assert len({len(record) for record in records}) == 1
                assert len(records) == progress.rows + 1

    yield check


def bundle_check(files: list[str], name: str, kind: str, version: int, use: Callable[[Path], Any]) -> Iterator[Check]:
    """Check a reader of a bundle whose card has the right checksums: an error of ours, or something that can be used.

    Args:
        files: the bundle's files; an input is their contents, with `SPLIT` between them.
        name: what the folder is called.
        kind: the format, as cards name it.
        version: its version.
        use: opens the folder and does with it what the program does.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / name
        folder.mkdir()

        def check(data: bytes) -> None:
            parts = data.split(SPLIT, len(files) - 1)
            parts += [b""] * (len(files) - len(parts))
            entries = {}
            for file, part in zip(files, parts, strict=True):
                (folder / file).write_bytes(part)
                entries[file] = {"sha256": sha256(part).hexdigest(), "bytes": len(part)}
            (folder / "card.json").write_text(json.dumps({"format": kind, "version": version, "files": entries}))
            try:
                use(folder)
            except ResourceError as error:
                one_line(error)

        yield check


SPLIT = b"\n=====\n"


@target
def bundle() -> Iterator[Check]:
    """Cards: an error of ours, or a file that is as the card says."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data.txt").write_bytes(b"data")

        def check(data: bytes) -> None:
            (Path(folder) / "card.json").write_bytes(data)
            try:
                bundle = open_bundle(folder, "restore-test", 1)
                assert len(bundle.checksum) == 12
                assert bundle.file("data.txt").read_bytes() == b"data"
            except ResourceError as error:
                one_line(error)

        yield check


@target
def tensors() -> Iterator[Check]:
    """Safetensors: an error of ours, or arrays that lie in the file."""
    from restore.tensors import map_tensors

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"

        def check(data: bytes) -> None:
            path.unlink(missing_ok=True)  # what is mapped must not change
            path.write_bytes(data)
            try:
                arrays = map_tensors(path)
            except ResourceError as error:
                one_line(error)
                return
            assert sum(array.nbytes for array in arrays.values() if array.size) <= len(arrays) * len(data)
            for array in arrays.values():
                array.tobytes()

        yield check


@target
def lexicon() -> Iterator[Check]:
    """The lexicon."""
    from restore.lexicon import FILE, FORMAT, VERSION

    def use(folder: Path) -> None:
        lexicon = Lexicon.open(folder)
        for word in ("us", "official", "o", "u", "rourke", ""):
            lexicon.variants(word)
            lexicon.with_part(word)
            for name in ("wordnet-noun", "porter", "none"):
                lexicon.preimage(name, word)
        lexicon.frequent(20)
        for index in range(min(len(lexicon), 30)):
            lexicon.entry(index)

    yield from bundle_check([FILE], "lexicon", FORMAT, VERSION, use)


@target
def ngram() -> Iterator[Check]:
    """The n-gram model."""
    from restore.models.ngram import NgramModel
    from restore.models.trie import FORMAT, TENSORS, VERSION, VOCABULARY

    def use(folder: Path) -> None:
        model = NgramModel.open(folder)
        size = len(model.class_logprob)
        everything = np.ones(size, dtype=np.bool_)
        context = model.start
        for step in range(12):
            pieces, logprobs = model.continuations(context, everything, 5)
            assert np.isfinite(logprobs).all()
            assert np.isfinite(model.logprobs(context, np.arange(size)[:200])).all()
            context = model.push(context, int(pieces[step % len(pieces)]) if len(pieces) else model.end)
        model.piece(" official", initial=True, joiner=False)

    yield from bundle_check([VOCABULARY, TENSORS], "ngram", FORMAT, VERSION, use)


@target
def wordnet() -> Iterator[Check]:
    """WordNet's lemmas."""
    from restore.channel import wordnet

    def use(folder: Path) -> None:
        def forget() -> None:
            wordnet._table.cache_clear()
            wordnet.morphology.cache_clear()

        forget()
        try:
            with patch.object(wordnet, "resources_folder", lambda: folder.parent):
                for part in "nvar":
                    morphology = wordnet.morphology(part)
                    for word in ("officials", "men", "is", "", "better"):
                        assert isinstance(morphology.lemmatize(word), str)
                        assert all(isinstance(form, str) for form in morphology.unlemmatize(word))
        finally:
            forget()  # other tests want the true one

    yield from bundle_check([wordnet.FILE], "wordnet", wordnet.FORMAT, wordnet.VERSION, use)


@target
def stopwords() -> Iterator[Check]:
    """Stop lists."""
    from restore.channel import presets

    def use(folder: Path) -> None:
        presets.stop_list.cache_clear()
        try:
            with patch.object(presets, "resources_folder", lambda: folder.parent):
                presets.stop_list("nltk")
        finally:
            presets.stop_list.cache_clear()  # other tests want the true one

    yield from bundle_check(["nltk.txt"], "stopwords", presets.STOP_FORMAT, presets.STOP_VERSION, use)


@target
def detection() -> Iterator[Check]:
    """The table of channel detection."""
    from restore.channel.detection import FILE, FORMAT, VERSION, Detector

    def use(folder: Path) -> None:
        found = Detector.open(folder).detect("u official said wa 6 000 men they polici")
        assert 0 <= found.probability <= 1

    yield from bundle_check([FILE], "detection", FORMAT, VERSION, use)


@target
def calibration() -> Iterator[Check]:
    """The curves of confidence."""
    from restore.calibration import FILE, FORMAT, VERSION, open_calibrator

    def use(folder: Path) -> None:
        calibrator = open_calibrator(folder, "fast:0123456789ab", "nltk")
        for kind in [*calibrator.curves, "inserted"]:
            for posterior in (0.0, 1e-9, 0.3, 1.0):
                assert 0 <= calibrator(kind, posterior) <= 1
                assert 0 <= calibrator(kind, 0.5, posterior) <= 1

    yield from bundle_check([FILE], "calibration", FORMAT, VERSION, use)


@target
def cues() -> Iterator[Check]:
    """The cues of sense warnings."""
    from restore.cues import FILE, FORMAT, VERSION, Cues

    def use(folder: Path) -> None:
        Cues.open(folder)

    yield from bundle_check([FILE], "cues", FORMAT, VERSION, use)


@target
def tagger() -> Iterator[Check]:
    """The tagger's weights."""
    from restore.models.tagger import FORMAT, VERSION, WEIGHTS, unpacked
    from restore.tensors import map_tensors

    def use(folder: Path) -> None:
        try:
            made = unpacked(map_tensors(folder / WEIGHTS))
        except ValueError as error:
            raise ResourceError(f"{folder}: {error}") from error
        assert sum(array.size for array in made.values()) < 1 << 27

    yield from bundle_check([WEIGHTS], "tagger", FORMAT, VERSION, use)


def copy_resource(name: str, folder: Path) -> Path:
    """Copy a bundle that comes with restore."""
    return Path(shutil.copytree(resources_folder() / name, folder / name))
