"""Any causal model of Hugging Face's transformers behind the language-model protocol, from a folder on this machine.

The folder has `config.json`, weights in safetensors, and a tokenizer. All are read as data: no code that a folder holds
is run, no pickle is opened, nothing is fetched. What the model is shown depends on what it has learnt:

    a plain model       start encode(prefix) encode(restored text)
    one that reads      <|im_start|> encode(" " + source) <|im_end|> encode(prefix) encode(restored text)
                        its source both ways (`restore.models.neural`)

Checkpoints of `restore train neural` read the source, and their `config.json` says so (`SEQUENCE_FIELD`).

Every number is float32. What is asked about one text in one round is answered in as few runs as there is room for, and no run has
pieces of two texts: what a text becomes cannot depend on what is restored beside it.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers
from tokenizers import Tokenizer
from torch import Tensor

from restore.bundle import checksum_of, sha256
from restore.errors import ResourceError
from restore.models import neural
from restore.models.base import Encoded, Expansion, Request, Window, expansion_of, pieces_of
from restore.models.batch import sees
from restore.models.neural import (
    MOST_PIECES,
    MOST_PREFIX,
    SEPARATOR,
    SEQUENCE,
    SEQUENCE_FIELD,
    SPECIALS,
    prompt_of,
    special,
)
from restore.models.spelling import Ids, Speller

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
OLDER_TOKENIZERS = ("vocab.json", "merges.txt", "tokenizer.model", "spiece.model")
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"

BAD_MODEL = "{path}: {why}; give the folder of a causal language model: config.json, safetensors and a tokenizer"
NO_KIND = "its config.json does not say what model it is"
PICKLED = "its weights are pickles ({name}), which could run code and are not opened; save them as safetensors"
NO_WEIGHTS = "it has no model.safetensors"
OTHER_KIND = "a {kind} model is not a causal language model"
LOOKS_AHEAD = "this {kind} model looks at what comes after a piece, so it is not a causal language model"
NO_KEYS = "a {kind} model cannot be fed a piece at a time from keys and values, as the search needs"
INCOMPLETE = "its weights lack {names}"
NOT_NUMBERS = "it predicts what are no numbers, so its weights are damaged"
NO_TOKENIZER = "it has no tokenizer.json, and none can be made of what it has"
OTHER_TOKENIZER = "its tokenizer has {pieces} pieces and the model {rows}, so one of them is another model's"
NO_START = "it names no piece that a text begins with; set bos_token_id in its config.json"
TOO_SHORT = "it takes {positions} pieces at most, which is too few"
OTHER_SEQUENCE = "it was trained on sequences of form {found!r}, and this release knows {known!r}"

WINDOW = Window(before=60, width=110, ahead=10)
"""For a plain model, which is shown more of what is restored, and no source."""
SPARE = 20
"""Input tokens for which there is room besides those that a window is given, restores and is shown: those ahead, and more
for odd texts."""
LEAST_WIDTH = 20
"""The narrowest window that is worth having, in input tokens."""
WRITTEN, READ = 3, 2
"""Pieces of an input token, but for odd texts: restored, with what is put in around it; and as a part of the source."""
MOST_ROWS = 32
"""Hypotheses in one run."""
LACKED = -20.0
"""What is added for a unit that the tokenizer cannot write as it stands, in nats: it has to be there, or it is not."""
FAR = 5e-3
"""A difference that rounding does not explain, beside the spread of what is compared."""


class HuggingFaceModel:
    """Walks a causal model of transformers for the decoder. Safe to use from several threads; they take turns."""

    def __init__(self, model: Any, tokenizer: Tokenizer, *, reads: bool, start: Ids, checksum: str = "") -> None:
        """Try a model and its tokenizer.

        Args:
            model: a model of transformers, in float32.
            tokenizer: its tokenizer.
            reads: whether it reads the source first.
            start: what the texts of a model that does not begin with; none, if nothing says it.
            checksum: names the data.

        Raises:
            ValueError: the model is not causal or takes short texts only, the tokenizer cannot write English, or there is
                no start.
        """
        self._model = model
        self._tokenizer = tokenizer
        self._reads = reads
        self._checksum = checksum
        self._lock = Lock()
        taken = inspect.signature(model.forward).parameters
        self._takes_positions = "position_ids" in taken
        self._cache = "cache" if "cache" in taken else "past_key_values"  # the new name, and the old
        positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self._last_position = (positions or 1 << 31) - 1
        self._window = window_of(positions, reads)
        self._check()
        if not start:
            raise ValueError(NO_START)
        self._speller = Speller(tokenizer)
        self._start = (*start, *self._speller.lead)
        self._pieces = lru_cache(maxsize=1 << 16)(self._encoded)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> HuggingFaceModel:
        """Open a folder that transformers, or training, has saved.

        Raises:
            ResourceError: it holds no causal model that can be run, or is damaged.
        """
        path = Path(folder)
        try:
            config = _read(path / CONFIG)
            if "model_type" not in config:
                raise ValueError(NO_KIND)
            form = config.get(SEQUENCE_FIELD)
            if form not in (None, SEQUENCE):
                raise ValueError(OTHER_SEQUENCE.format(found=form, known=SEQUENCE))
            others = (CONFIG, TOKENIZER, TOKENIZER_CONFIG, *OLDER_TOKENIZERS)
            files = [*weight_files(path), *(path / name for name in others)]
            checksum = checksum_of((file.name, sha256(file)) for file in files if file.is_file())
            with _quiet():
                model = load_model(path)
                tokenizer = load_tokenizer(path)
            rows, pieces = len(model.get_input_embeddings().weight), 1 + max(tokenizer.get_vocab().values())
            if pieces > rows:
                raise ValueError(OTHER_TOKENIZER.format(pieces=pieces, rows=rows))
            if form is None:
                start = start_of(tokenizer, path, model.config, rows)
            else:
                start = tuple(special(tokenizer, piece) for piece in SPECIALS)[:1]
            return cls(model, tokenizer, reads=form is not None, start=start, checksum=checksum)
        except Exception as error:  # transformers, safetensors and tokenizers raise whatever they like
            raise ResourceError(BAD_MODEL.format(path=path, why=_brief(error))) from error

    @property
    def name(self) -> str:
        """The engine's name with the checksum of its data."""
        return f"hf:{self._checksum}"

    @property
    def window(self) -> Window | None:
        """How a long text is cut for the model."""
        return self._window

    @property
    def merges_marks(self) -> bool:
        """Whether the tokenizer makes fewer pieces of a run of marks than of each."""
        return self._speller.merges

    @property
    def takes_runs(self) -> bool:
        """False: each hypothesis is fed one piece at a time, so that those of a text can be fed together."""
        return False

    @property
    def streams(self) -> Sequence[HuggingFaceModel]:
        """Itself: it uses all cores by itself."""
        return (self,)

    def begin(self, source: Sequence[str], prefix: str = "") -> State:
        """Return the state at the start of a text or window. It is read when it is first asked about."""
        if self._reads:
            prompt = prompt_of(self._tokenizer, source, prefix)
            text = Text(prompt, prompt.index(special(self._tokenizer, SEPARATOR)))
        else:
            given = self._speller.pieces(prefix)[0] if prefix else ()
            text = Text((*self._start, *given[-MOST_PREFIX:]))
        return State(text, (), np.arange(len(text.prompt)))

    def encode(self, text: str, *, initial: bool, touched: bool, logprob: float) -> Encoded | None:
        """Return the pieces of a unit, or of a run of marks; `LACKED` is added where they cannot say what it is."""
        return self._pieces(text)

    def _encoded(self, text: str) -> Encoded | None:
        ids, exact = self._speller.pieces(text)
        return Encoded(ids[:MOST_PIECES] or self._start[:1], 0.0 if exact else LACKED) if text else None

    def key(self, state: State, pending: int | Ids | None) -> Hashable | None:
        """Return the text: hypotheses that have the same pieces have the same future."""
        return state.text, (*state.pieces, *pieces_of(pending))

    def expand(self, requests: Sequence[Request]) -> list[Expansion]:
        """Feed what is pending and look ahead, all requests of one text in one run."""
        fed = [Fed(request.state, *pieces_of(request.pending)) for request in requests]
        own: dict[Text, list[Fed]] = {}
        for one in fed:
            own.setdefault(one.state.text, []).append(one)
        with self._lock, torch.inference_mode():
            for text, some in own.items():
                self._feed(text, some)
        return [expansion_of(request, one.after, one.logprobs, ()) for request, one in zip(requests, fed, strict=True)]

    def _feed(self, text: Text, some: Sequence[Fed]) -> None:
        """Feed pieces to states of one text."""
        if text.first is None:
            cache: Any = transformers.DynamicCache()
            positions = np.arange(len(text.prompt))[None]
            text.first = self._run([text.prompt], positions, text.seen(), cache)[0]
            text.keep([(layer.keys[0].transpose(0, 1), layer.values[0].transpose(0, 1)) for layer in cache.layers])
        for one in some:
            one.after, one.logprobs = one.state, text.first
        rows = [one for one in some if one.piece >= 0]
        for at in range(0, len(rows), MOST_ROWS):
            self._feed_rows(text, rows[at : at + MOST_ROWS])

    def _feed_rows(self, text: Text, rows: Sequence[Fed]) -> None:
        """Feed one piece to each of several states in one run. Those with less before it have blanks on their left."""
        lengths = np.array([[len(one.past)] for one in rows])
        longest = int(lengths.max())
        seen = (np.arange(longest + 1) >= longest - lengths).astype(np.int64)
        slots = np.zeros((len(rows), longest), np.int64)
        for row, one in zip(slots, rows, strict=True):
            row[longest - len(one.past) :] = one.past
        cache: Any = transformers.DynamicCache()
        for number, (keys, values) in enumerate(text.layers):
            cache.update(keys[slots].transpose(1, 2), values[slots].transpose(1, 2), number)
        logprobs = self._run([[one.piece] for one in rows], lengths, seen, cache)
        new = [row for row, one in enumerate(rows) if not one.again]
        kept = iter(text.keep([(layer.keys[new, :, -1], layer.values[new, :, -1]) for layer in cache.layers]))
        for one, found in zip(rows, logprobs, strict=True):
            one.logprobs = found
            if not one.again:
                one.after = State(text, (*one.state.pieces, one.piece), np.append(one.past, next(kept)))

    def _run(self, pieces: Any, positions: Integers, seen: npt.NDArray[Any], cache: Any) -> Floats:
        """Run the network.

        Args:
            pieces: what is fed, [rows, n].
            positions: where each piece stands in its text, [rows, n].
            seen: of what is in the cache and what is fed, what is not blank, [rows, past + n]; or what is added to the score
                of each piece for each that is fed, [rows, 1, n, past + n].
            cache: keys and values of what was fed before; new ones are added.

        Returns:
            ln P of what may follow each row, [rows, vocabulary].
        """
        options = {self._cache: cache, "attention_mask": torch.from_numpy(seen)}
        if self._takes_positions:  # only odd texts go beyond the last that the model knows
            options["position_ids"] = torch.from_numpy(np.minimum(positions, self._last_position))
        output = self._model(input_ids=torch.tensor(pieces), use_cache=True, **options)
        return _logprobs(output.logits[:, -1])

    def _check(self) -> None:
        """Try on a few pieces whether the model is causal, and can be fed a piece at a time.

        Raises:
            ValueError: it is not, or cannot.
        """
        kind = self._model.config.model_type
        pieces = (1, 2, 3, 4, 5)
        with torch.inference_mode():
            whole, short, alone = (self._plain(fed) for fed in (pieces, (1, 5), pieces[:1]))
            if not np.isfinite(whole).all():
                raise ValueError(NOT_NUMBERS)
            if _apart(whole[0], alone[0]):
                raise ValueError(LOOKS_AHEAD.format(kind=kind))
            try:
                text = Text((1,))
                begun = state = State(text, (), np.arange(1))
                for piece in pieces[1:-1]:
                    self._feed(text, [one := Fed(state, piece)])
                    state = one.after
                self._feed(text, last := [Fed(state, pieces[-1]), Fed(begun, pieces[-1])])
            except Exception as error:  # whatever a model makes of keys and values that it does not expect
                raise ValueError(NO_KEYS.format(kind=kind)) from error
            if _apart(last[0].logprobs, whole[-1]) or _apart(last[1].logprobs, short[-1]):
                raise ValueError(NO_KEYS.format(kind=kind))

    def _plain(self, pieces: Ids) -> Floats:
        """Return ln P of what may follow each of the pieces, which are run at once, [pieces, vocabulary]."""
        return _logprobs(self._model(input_ids=torch.tensor([pieces]), use_cache=False).logits[0])


@dataclass(eq=False, slots=True)
class Text:
    """One text in work, with the keys and values of all pieces that were fed for it, each in a slot of its own.

    Attributes:
        prompt: the pieces that every hypothesis begins with; theirs are the first slots.
        source: how many of the first of them see each other both ways.
        first: ln P of what may follow the prompt, once that was fed.
        layers: the keys and the values of each layer, [slots, heads, width].
        used: how many slots are taken.
    """

    prompt: Ids
    source: int = 0
    first: Floats | None = None
    layers: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    used: int = 0

    def seen(self) -> npt.NDArray[Any]:
        """Return what each piece of the prompt sees of it, as `HuggingFaceModel._run` takes it."""
        if not self.source:
            return np.ones((1, len(self.prompt)), np.int64)
        seen = sees(len(self.prompt), self.source)
        return np.where(seen, np.float32(0), np.finfo(np.float32).min)[None, None]

    def keep(self, new: Sequence[tuple[Tensor, Tensor]]) -> range:
        """Put the keys and values of new pieces, [pieces, heads, width] for each layer, into slots; return these."""
        slots = range(self.used, self.used + len(new[0][0]))
        if not self.layers:
            self.layers = [(keys.clone(), values.clone()) for keys, values in new]
        else:
            if slots.stop > len(self.layers[0][0]):
                self.layers = [(_longer(keys, slots.stop), _longer(values, slots.stop)) for keys, values in self.layers]
            for (keys, values), (new_keys, new_values) in zip(self.layers, new, strict=True):
                keys[slots.start : slots.stop] = new_keys
                values[slots.start : slots.stop] = new_values
        self.used = slots.stop
        return slots


@dataclass(frozen=True, slots=True)
class State:
    """A text so far: what the model gives to the decoder.

    Attributes:
        text: the text in work that it belongs to.
        pieces: what was written after the prompt.
        slots: where the keys and values of the prompt and of the pieces are, in order.
    """

    text: Text
    pieces: Ids
    slots: Integers


class Fed:
    """A state, and what it is fed.

    Attributes:
        piece: the new piece; the last one again if there is no new one, or -1 if there is no last one either.
        again: whether it is not new.
        past: the slots of what comes before the piece.
        after: the state after it.
        logprobs: ln P of what may follow, [vocabulary].
    """

    __slots__ = ("after", "again", "logprobs", "past", "piece", "state")

    def __init__(self, state: State, piece: int | None = None) -> None:
        self.state = self.after = state
        self.again = piece is None
        self.piece, self.past = -1 if piece is None else piece, state.slots
        if self.again and state.pieces:
            self.piece, self.past = state.pieces[-1], state.slots[:-1]
        self.logprobs: Floats = np.empty(0, np.float32)


def window_of(positions: int | None, reads: bool) -> Window:
    """Return how a text is cut for a model that takes so many pieces, or any number.

    Raises:
        ValueError: it takes too few.
    """
    full = neural.WINDOW if reads else WINDOW
    if positions is None:
        return full
    tokens = positions // (WRITTEN + READ if reads else WRITTEN)
    width = min(full.width, tokens - full.before - SPARE - full.shown)
    if width < LEAST_WIDTH:
        raise ValueError(TOO_SHORT.format(positions=positions))
    return Window(full.before, width, full.ahead, full.shown)


def weight_files(folder: Path) -> list[Path]:
    """Return the files of a folder's weights.

    Raises:
        ValueError: there are none, or they are not safetensors.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        return [folder / name for name in sorted(set(_read(folder / INDEX)["weight_map"].values()))]
    pickles = sorted(path.name for kind in ("*.bin", "*.pt", "*.pth") for path in folder.glob(kind))
    raise ValueError(PICKLED.format(name=pickles[0]) if pickles else NO_WEIGHTS)


def load_model(folder: Path) -> Any:
    """Load the weights of a folder, in float32.

    Raises:
        Exception: they are damaged, incomplete, or no causal model's.
    """
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if type(config) not in transformers.MODEL_FOR_CAUSAL_LM_MAPPING or config.is_encoder_decoder:
        raise ValueError(OTHER_KIND.format(kind=config.model_type))
    loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
        folder, config=config, local_files_only=True, trust_remote_code=False, use_safetensors=True,
        dtype=torch.float32, output_loading_info=True,
    )  # fmt: skip
    model, found = loaded
    if found["missing_keys"]:
        raise ValueError(INCOMPLETE.format(names=_some(found["missing_keys"])))
    return model.eval()


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load the tokenizer of a folder: `tokenizer.json`, or what transformers makes of older files.

    Raises:
        Exception: there is none, or it is damaged.
    """
    if (folder / TOKENIZER).is_file():
        return Tokenizer.from_file(str(folder / TOKENIZER))
    try:
        made = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return Tokenizer.from_str(made.backend_tokenizer.to_str())
    except Exception as error:
        raise ValueError(NO_TOKENIZER) from error


def start_of(tokenizer: Tokenizer, folder: Path, config: Any, rows: int) -> Ids:
    """Return what a plain model's texts begin with: what its tokenizer puts there, its BOS, or else its EOS.

    Models without a BOS have learnt that a text begins where another one ended. Nothing is returned if nothing says it.
    """
    bare, full = (tuple(tokenizer.encode("a", add_special_tokens=added).ids) for added in (False, True))
    for size in range(1, len(full)):
        if full[size : size + len(bare)] == bare:
            return full[:size]
    named = _read(folder / TOKENIZER_CONFIG) if (folder / TOKENIZER_CONFIG).is_file() else {}
    for kind in ("bos", "eos"):
        text = named.get(f"{kind}_token")
        text = text.get("content") if isinstance(text, dict) else text
        numbers = getattr(config.get_text_config(), f"{kind}_token_id", None)
        given = numbers if isinstance(numbers, (list, tuple)) else [numbers]
        for number in (tokenizer.token_to_id(text) if isinstance(text, str) else None, *given):
            if number is not None and 0 <= number < rows:
                return (number,)
    return ()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from talking to the user."""
    log: Any = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity(log.CRITICAL)
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


def _logprobs(logits: Tensor) -> Floats:
    found: Floats = logits.float().log_softmax(-1).numpy()
    return found


def _apart(one: Floats, other: Floats) -> bool:
    """Tell whether two rows of log-probabilities differ by more than rounding."""
    return bool(np.abs(one - other).max() > FAR * other.std())


def _longer(tensor: Tensor, least: int) -> Tensor:
    longer = tensor.new_zeros((max(least, 2 * len(tensor)), *tensor.shape[1:]))
    longer[: len(tensor)] = tensor
    return longer


def _read(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValueError: the file is none, or cannot be read.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} cannot be read ({getattr(error, 'strerror', None) or 'no JSON'})") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} is no JSON object")
    return found


def _some(names: Iterable[str], most: int = 3) -> str:
    known = sorted(names)
    return ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")


def _brief(error: Exception, most: int = 200) -> str:
    """Return an error's message as a part of a line."""
    text = " ".join(str(error).split("\n\n")[0].split()) or type(error).__name__
    return text[:most].rstrip(" .;:") + ("..." if len(text) > most else "")
