from __future__ import annotations

import gc
import json
import shutil
import weakref
from pathlib import Path

import pytest
from click.testing import CliRunner

from restore import Restorer, engines, strip_text
from restore.cli.main import group
from restore.engines import VARIABLE, engine_of
from restore.errors import ResourceError, RestoreError

TINY = Path(__file__).parent / "data" / "tiny_neural"
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
        shutil.copytree(TINY, tmp_path / "neural")
        assert engine_of("auto") == "neural"
        monkeypatch.setattr(engines, "find_spec", lambda name: None)
        assert engine_of("auto") == "fast"

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
