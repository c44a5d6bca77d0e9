from __future__ import annotations

import gc
import json
import shutil
import weakref
from pathlib import Path

import pytest
from click.testing import CliRunner

from restore import Restorer, engines, strip_text
from restore.bundle import resources_folder
from restore.calibration import read_calibration
from restore.channel import get_channel
from restore.cli.main import group
from restore.cores import usable_cores
from restore.engines import VARIABLE, engine_of
from restore.errors import ResourceError, RestoreError
from restore.training.calibration import train_calibration
from restore.training.ngram import train as train_ngram

TINY = Path(__file__).parent / "data" / "tiny_neural"
LIMITS = [("max 100000", 4), ("200000 100000", 2), ("50000 100000", 1), ("900000 100000", 4), ("?", 4)]
TEXTS = [
    "minister health resigned monday nobody surprised party lost 6 000 member",
    "talk re enter u official price rising wage drought farmer say bank rain",
    "",
    "orf vres court ruled",
    "they said they were not there and so did we all of them too",
]


class TestChoice:
    def test_the_variable_says_what_auto_takes(self, monkeypatch):
        monkeypatch.setenv(VARIABLE, "fast")
        assert engine_of("auto") == "fast"
        monkeypatch.setenv(VARIABLE, "neural")
        assert engine_of("auto") == "neural"
        assert engine_of("fast") == "fast"

    def test_a_wrong_variable_is_named(self, monkeypatch):
        monkeypatch.setenv(VARIABLE, "quick")
        with pytest.raises(RestoreError, match="RESTORE_ENGINE is 'quick'"):
            engine_of("auto")

    def test_auto_is_fast_without_the_weights_or_the_runtime(self, monkeypatch, tmp_path):
        monkeypatch.delenv(VARIABLE, raising=False)
        monkeypatch.setattr(engines, "resources_folder", lambda: tmp_path)
        assert engine_of("auto") == "fast"
        assert "resources/neural;" in (engines.fallback("auto") or "")
        shutil.copytree(TINY, tmp_path / "neural")
        assert engine_of("auto") == "fast"
        assert "resources/tagger;" in (engines.fallback("auto") or "")
        shutil.copytree(TINY, tmp_path / "tagger")
        assert engine_of("auto") == "neural"
        assert engines.fallback("auto") is None
        monkeypatch.setattr(engines, "find_spec", lambda name: None)
        assert engine_of("auto") == "fast"
        assert "package 'onnxruntime';" in (engines.fallback("auto") or "")
        monkeypatch.setenv(VARIABLE, "fast")
        assert engines.fallback("auto") is engines.fallback("fast") is None

    def test_a_text_says_why_it_was_not_the_neural_engine(self, monkeypatch):
        monkeypatch.delenv(VARIABLE, raising=False)
        monkeypatch.setattr(engines, "find_spec", lambda name: None)
        (note,) = Restorer().restore("official said monday").notes
        assert note.startswith("restored with the engine fast, as neural lacks the package")
        notes: list[str] = []
        assert "".join(Restorer().stream("official said monday", notes))
        assert notes == [note]
        assert Restorer(engine="fast").restore("official said monday").notes == ()

    def test_a_model_brings_its_engine(self, tmp_path):
        assert engine_of("auto", TINY) == engine_of("neural", TINY) == "neural"
        with pytest.raises(RestoreError, match="a model of the neural engine, not of fast"):
            engine_of("fast", TINY)
        assert engine_of("auto", tmp_path) == "fast"

    def test_missing_weights_and_packages_are_named(self, monkeypatch, tmp_path):
        monkeypatch.setattr(engines, "resources_folder", lambda: tmp_path)
        with pytest.raises(ResourceError, match="weights are not in this installation"):
            engines.open_model("neural")
        monkeypatch.setattr(engines, "find_spec", lambda name: None)
        with pytest.raises(RestoreError, match="pip install onnxruntime"):
            engines.open_model("neural")


def test_the_engine_that_comes_with_restore(seed_text):
    """Its promise, its calibration, and that its search inserts: with its own weights, where all other tests have tiny ones."""
    restorer = Restorer(engine="neural")
    text = " ".join(seed_text.split()[:40])
    result = restorer.restore(text)
    assert strip_text(result.text) == text
    assert "officials" in result.text
    assert result.calibrated
    assert read_calibration(resources_folder() / "calibration")["neural"]["model"] == restorer.engine
    assert sum(edit.kind == "inserted" for edit in result.edits) > 10


def test_the_engine_that_comes_with_restore_writes_the_same_beside_any_others(seed_text):
    restorer, tokens = Restorer(engine="neural", repair=False), seed_text.split()
    texts = [" ".join(tokens[20 * number : 20 * number + 4 + number % 9]) for number in range(16)]
    alone, four, all_at_once = (list(restorer.restore_many(texts, together)) for together in (1, 4, 16))
    assert alone == four == all_at_once
    assert [strip_text(one.text) for one in alone] == list(map(strip_text, texts))


def test_a_model_of_ones_own_is_used(tmp_path):
    text = tmp_path / "mine.txt"
    text.write_text("The cat saw the dog. The dog has seen a cat.\n%%%\n" * 9)
    train_ngram([text], tmp_path / "m", cutoffs=(1, 1, 2))
    own = Restorer(model=tmp_path / "m", repair=False)
    assert own.engine != Restorer(engine="fast").engine
    assert not own.restore("cat saw dog").calibrated
    train_calibration([text], tmp_path / "m" / "calibration", model=tmp_path / "m", half="all")
    assert Restorer(model=tmp_path / "m", repair=False).restore("cat saw dog").calibrated


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer(model=TINY, repair=False)


class TestNeural:
    def test_the_result_names_the_engine(self, restorer):
        assert restorer.engine.startswith("neural:")
        assert restorer.restore(TEXTS[0]).engine == restorer.engine

    def test_restorers_share_models_as_long_as_they_live(self, tmp_path):
        folder = shutil.copytree(TINY, tmp_path / "tiny")
        one, other = Restorer(model=folder), Restorer(model=folder, channel="stemmed")
        assert one._model is other._model
        assert one._tagger is other._tagger
        model = weakref.ref(one._model)
        del one, other
        gc.collect()
        assert model() is None
        one = Restorer(model=folder)
        assert one.engine
        (folder / "graph.onnx").write_bytes(b"damaged meanwhile")
        with pytest.raises(ResourceError, match=r"graph\.onnx"):
            _ = Restorer(model=folder).engine

    def test_the_promise_holds(self, restorer):
        for text in TEXTS[:2]:
            assert strip_text(restorer.restore(text).text) == text

    def test_a_text_does_not_depend_on_those_restored_with_it(self, restorer):
        alone = [restorer.restore(text) for text in TEXTS]
        for together in (1, 2, 5):
            assert list(restorer.restore_many(TEXTS, together)) == alone

    def test_the_command_takes_a_model(self):
        done = CliRunner().invoke(group, ["-", "--model", str(TINY), "--json"], input=TEXTS[0])
        assert done.exit_code == 0, done.stderr
        assert json.loads(done.stdout)["engine"].startswith("neural:")


@pytest.mark.parametrize("name", ["transcript", "lower", "nltk", "stemmed"])
def test_where_no_word_was_dropped_other_weights_count(name):
    neural, fast, channel = engines.SETTINGS[engines.NEURAL], engines.SETTINGS[engines.FAST], get_channel(name)
    dropped = name not in ("transcript", "lower")
    assert (neural.weights_for(channel) is neural.weights) == dropped
    assert fast.weights_for(channel) is fast.weights


@pytest.mark.parametrize(("limit", "cores"), LIMITS)
def test_a_containers_limit_counts(limit: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(4)), raising=False)
    (tmp_path / "cpu.max").write_text(limit + "\n")
    assert usable_cores(tmp_path / "cpu.max") == cores
    assert usable_cores(tmp_path / "none") == 4
