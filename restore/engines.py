"""The engines: which language model restores, and how the search weighs what it says."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, RLock
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from restore.bundle import CARD, resources_folder
from restore.channel import Channel
from restore.config import AUTO, ENGINES
from restore.decoder import Weights
from restore.errors import ResourceError, RestoreError
from restore.fusion import Fusion
from restore.models.base import LanguageModel
from restore.models.words import WordModel
from restore.opinion import Tagger, TagWeights

FAST, NEURAL, HF = "fast", "neural", "hf"
FOLDERS = {FAST: "ngram", NEURAL: "neural"}
"""The folder of each engine's model among the resources."""
TAGGER, TAGGED = "tagger", (NEURAL,)
"""The folder of the tagger among the resources, and the engines that it advises."""
FUSED = (NEURAL,)
"""The engines that the n-gram model advises."""
FORMATS = {"restore-neural": NEURAL}
"""The engine of each format of models; what is not named here is read by the fast engine, which says what is wrong."""
RUNTIME = ("onnxruntime", "tokenizers")
HF_CONFIG, HF_RUNTIME = "config.json", ("torch", "transformers")
"""What tells a folder of Hugging Face's, where there is no card; and the packages of the extra `hf`."""
VARIABLE = "RESTORE_ENGINE"

Model = TypeVar("Model")
_OPEN: WeakValueDictionary[tuple[Any, ...], Any] = WeakValueDictionary()
_OPENING: dict[tuple[Any, ...], RLock] = {}
"""For each model, what whoever opens it holds: it is opened once, and others beside it."""
_OPENING_LOCK = Lock()

NO_RUNTIME = "the neural engine needs the package {name!r}, which is not installed; install it: pip install {name}"
NO_HF_RUNTIME = (
    "{path}: a Hugging Face model needs the package {name!r}, which is not installed; "
    "install it: pip install 'restore-prose[hf]'"
)
NO_WEIGHTS = "the neural engine's weights are not in this installation ({path}); choose --engine fast, or reinstall restore"
NO_FOLDER, NO_PACKAGE = "the weights in resources/{name}", "the package {name!r}"
FELL_BACK = "restored with the engine fast, as neural lacks {lacks}; reinstall restore, or choose --engine fast"
OTHER_ENGINE = "{path}: holds a model of the {found} engine, not of {wanted}; leave out --engine, or give another model"
BAD_VARIABLE = "the environment variable {name} is {value!r}; set it to one of {engines}, or unset it"


@dataclass(frozen=True, slots=True)
class Engine:
    """What comes with the choice of an engine.

    Attributes:
        beam: hypotheses kept at each input token.
        windows: windows that are searched in step where there are many texts, those of one text counted.
        weights: what the search adds to the model's log-probabilities, and how it reads its posteriors.
        spoken: the same where the channel drops no words; if None, as elsewhere.
    """

    beam: int
    windows: int
    weights: Weights
    spoken: Weights | None = None

    def weights_for(self, channel: Channel) -> Weights:
        """Return the weights for what a channel has stripped."""
        return self.weights if self.spoken is None or channel.stop_words else self.spoken


# Of marks the tagger, which has read what follows, knows more than the model and nearly all that it knows: its word counts most.
TAGS = TagWeights(mark=4.5, first=0.75, last=0.75, edit=1.0, case=1.0, alike=0.4, women=1.2)
NEURAL_WEIGHTS = Weights(
    insertion=1.2, end=3.2, comma=2.6, rarity=0.3, quote=-2.0, bracket=-1.0, capital=1.0, inflected=2.1, live=3.0, margin=6.0,
    apart=5.0, word_threshold=0.15, tags=TAGS, fusion=0.2,
)
# Where no word was dropped the model reads all of them too, and its word counts more than elsewhere.
SPOKEN_WEIGHTS = replace(NEURAL_WEIGHTS, end=1.2, comma=1.2, tags=replace(TAGS, mark=2.0))
SETTINGS = {
    FAST: Engine(8, 1, Weights(bracket=-1.0)),
    NEURAL: Engine(2, 11, NEURAL_WEIGHTS, SPOKEN_WEIGHTS),
    HF: Engine(4, 1, Weights(live=12.0)),
}
"""Chosen on the odd-numbered development documents; but for Hugging Face models, of which each is another."""


def engine_of(name: str, model: str | os.PathLike[str] | None = None) -> str:
    """Return the engine that a choice comes to: `fast`, `neural`, or `hf` for a Hugging Face model.

    Args:
        name: `fast`, `neural` or `auto`.
        model: the folder of a model to use in place of the engine's own.

    Raises:
        RestoreError: the model is of another engine than the one chosen, or RESTORE_ENGINE is no engine.
    """
    if model is not None:
        found = _engine_of_model(Path(model))
        if name not in (AUTO, found):
            raise RestoreError(OTHER_ENGINE.format(path=model, found=found, wanted=name))
        return found
    if name == AUTO:
        name = os.environ.get(VARIABLE, AUTO)
        if name not in ENGINES:
            raise RestoreError(BAD_VARIABLE.format(name=VARIABLE, value=name, engines=", ".join(ENGINES)))
    if name == AUTO:
        return NEURAL if neural_lacks() is None else FAST
    return name


def neural_lacks() -> str | None:
    """Say what the engine `neural` would need that is not there; None if it can be opened."""
    for folder in (FOLDERS[NEURAL], TAGGER):
        if not (resources_folder() / folder / CARD).is_file():
            return NO_FOLDER.format(name=folder)
    return next((NO_PACKAGE.format(name=name) for name in RUNTIME if find_spec(name) is None), None)


def fallback(name: str, model: str | os.PathLike[str] | None = None) -> str | None:
    """Say why a choice of `auto` comes to the engine `fast`; None if it does not, or if RESTORE_ENGINE says so.

    Args:
        name: as `engine_of` takes it.
        model: likewise.
    """
    if name != AUTO or model is not None or os.environ.get(VARIABLE, AUTO) != AUTO:
        return None
    lacks = neural_lacks()
    return None if lacks is None else FELL_BACK.format(lacks=lacks)


def _engine_of_model(folder: Path) -> str:
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        return FORMATS.get(card["format"], FAST)
    except FileNotFoundError:
        return HF if (folder / HF_CONFIG).is_file() else FAST
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return FAST


def open_model(engine: str, folder: str | os.PathLike[str] | None = None) -> LanguageModel:
    """Open the model of an engine.

    Args:
        engine: `fast`, `neural` or `hf`.
        folder: the model's folder; the one that comes with restore if not given.

    Raises:
        ResourceError: it is missing, damaged, or of another version.
        RestoreError: a package that runs it is missing.
    """
    if engine == HF:
        return _open_huggingface(Path(folder or ""))
    path = Path(folder) if folder is not None else resources_folder() / FOLDERS[engine]
    if engine == FAST:
        return _open_ngram(path)
    for name in RUNTIME:
        if find_spec(name) is None:
            raise RestoreError(NO_RUNTIME.format(name=name))
    if folder is None and not path.is_dir():
        raise ResourceError(NO_WEIGHTS.format(path=path))
    from restore.models.neural import NeuralModel

    return _shared(NeuralModel.open, path)


def open_tagger(engine: str, folder: str | os.PathLike[str] | None = None) -> Tagger | None:
    """Open the tagger that advises an engine's search, or return None for an engine without one.

    Args:
        engine: `fast`, `neural` or `hf`.
        folder: the folder of a model, which may have a tagger of its own in it.

    Raises:
        ResourceError: it is missing, damaged, or of another version.
    """
    if engine not in TAGGED:
        return None
    from restore.models.tagger import Tagger as Encoder

    return _shared(Encoder.open, _advising(TAGGER, folder))


def open_fusion(engine: str, folder: str | os.PathLike[str] | None = None) -> Fusion | None:
    """Open the n-gram model that advises an engine's search, or return None for an engine without one.

    Args:
        engine: `fast`, `neural` or `hf`.
        folder: the folder of a model, which may have an n-gram model of its own in it.

    Raises:
        ResourceError: it is missing, damaged, or of another version.
    """
    return Fusion(_open_ngram(_advising(FOLDERS[FAST], folder))) if engine in FUSED else None


def _advising(name: str, folder: str | os.PathLike[str] | None) -> Path:
    """Return the folder of a model that advises: the one in another model's folder, or the one that comes with restore."""
    own = None if folder is None else Path(folder) / name
    return own if own is not None and own.is_dir() else resources_folder() / name


def _shared(opener: Callable[[Path], Model], path: Path) -> Model:
    """Open a bundle, or return the model of it that another restorer has open, unless a file has been touched since."""
    try:
        times = tuple((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(path.iterdir()))
        key = (opener, path.resolve(), times)
    except OSError:
        return opener(path)  # which says what is wrong
    with _OPENING_LOCK:
        opening = _OPENING.setdefault(key, RLock())
    with opening:
        if (found := _OPEN.get(key)) is None:
            found = _OPEN[key] = opener(path)
    return found


def _open_ngram(path: Path) -> WordModel:
    from restore.models.ngram import NgramModel

    return WordModel(_shared(NgramModel.open, path))


def _open_huggingface(path: Path) -> LanguageModel:
    for name in HF_RUNTIME:
        if find_spec(name) is None:
            raise RestoreError(NO_HF_RUNTIME.format(path=path, name=name))
    from restore.models.huggingface import HuggingFaceModel

    return _shared(HuggingFaceModel.open, path)
