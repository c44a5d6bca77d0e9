"""The tagger's network in PyTorch, made of the weights of a BERT, an MPNet or a tagger, and its losses."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.numpy_helper
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Generator, Tensor, nn
from torch.nn import functional

from restore.bundle import CARD, open_bundle
from restore.errors import RestoreError
from restore.models.network import SCALE
from restore.models.tagger import (
    BEGIN,
    EMBEDDING,
    END,
    FORMAT,
    GRAPH,
    LAYERED,
    TOKENIZER,
    VERSION,
    WEIGHTS,
    floats,
    is_layered,
    prefix_of,
    unpacked,
)
from restore.tensors import map_tensors
from restore.training.graph import Array
from restore.training.tagger_graph import EPSILON, GAP_TAGS, HEADS, NEAR, TOKEN_TAGS, spread
from restore.training.tagger_rows import IGNORED, Batch

NO_BASE = "{path}: {why}; give a folder with a BERT or an MPNet in safetensors and its tokenizer.json, or a tagger"
OTHER_PIECES = "{path}: a tagger of other pieces than the base's; give one with the same vocabulary"

SINGLE = ("marks", "first", "last", "edits", "cases")
"""The outputs of which one tag is right."""

OUTPUTS = (*GAP_TAGS, *TOKEN_TAGS)
PARTS = {EMBEDDING, "places", "norm", NEAR, "gap", "token", *OUTPUTS, *LAYERED, "norm1", "norm2"}
"""The last parts of weights' names, but for biases."""

DROPOUT, UNREAD = 0.1, 0.1
"""What is left out in training, so that no text is learnt by heart (Srivastava et al. 2014, "Dropout"): of the numbers that each
layer adds, as BERT was trained, and of the pieces, which then say nothing but that they are there (Iyyer et al. 2015)."""

Weights = dict[str, Tensor]


class Network(nn.Module):  # type: ignore[misc]  # where PyTorch is not installed
    """The tagger's network; its parameters have the names that `restore.training.tagger_graph` knows."""

    def __init__(self, weights: Mapping[str, Tensor], outputs: Mapping[str, int]) -> None:
        super().__init__()
        width = weights["words"].shape[1]
        self.names = {name: name.replace(".", "_") for name in weights}
        for name, value in weights.items():
            self.register_parameter(self.names[name], nn.Parameter(value.clone()))
        # The vectors of pieces are good as they are, and most are too rare to learn more about.
        self.get_parameter("words").requires_grad_(False)
        sizes = {"gap": (2 * width, width), "token": (width, width)} | {name: (width, size) for name, size in outputs.items()}
        for name, (inputs, size) in sizes.items():
            if name not in weights:
                bound = inputs**-0.5
                added = {name: torch.empty(inputs, size).uniform_(-bound, bound), f"{name}.bias": torch.zeros(size)}
                if name == "held":
                    added["held.bias"] -= 4.0
                for full, value in added.items():
                    self.names[full] = full.replace(".", "_")
                    self.register_parameter(self.names[full], nn.Parameter(value))
        self.layers = sum(name.endswith(".qkv") for name in weights)
        self.added = [full for name, full in self.names.items() if name not in weights]
        """The parameters that the weights given had not."""

    def weight(self, name: str) -> Tensor:
        """Return the parameter of a name."""
        return self.get_parameter(self.names[name])

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return functional.linear(x, self.weight(name).T, self.weight(f"{name}.bias"))

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], self.weight(name), self.weight(f"{name}.bias"), EPSILON)

    def forward(self, batch: Batch, half: bool = False, dropped: Generator | None = None) -> Weights:
        """Return the logits of all tags of a batch's gaps and tokens.

        Args:
            batch: what to read.
            half: multiply matrices in bfloat16.
            dropped: leave out what it says, as in training: `DROPOUT` of what each layer adds, and `UNREAD` of the pieces.
        """
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            return {name: found.float() for name, found in self._read(batch, dropped).items()}

    def _read(self, batch: Batch, dropped: Generator | None) -> Weights:
        def drop(x: Tensor) -> Tensor:
            if dropped is None:
                return x
            return x * torch.empty_like(x, requires_grad=False).bernoulli_(1 - DROPOUT, generator=dropped) / (1 - DROPOUT)

        rows, length = batch.pieces.shape
        words = self.weight("words")[batch.pieces]
        if dropped is not None:
            words = words * torch.empty(rows, length, 1).bernoulli_(1 - UNREAD, generator=dropped)
        x = drop(self._norm(words + self.weight("places")[:length], "norm"))
        seen = (batch.pieces != 0)[:, None, None, :]
        if NEAR in self.names:
            order = torch.arange(length)
            near = self.weight(NEAR)
            close = near[order - order[:, None] + len(near) // 2].permute(2, 0, 1)
            seen = close.expand(rows, -1, -1, -1).masked_fill(~seen, -torch.inf)
        for layer in range(self.layers):
            qkv = self._linear(x, f"{layer}.qkv").view(rows, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
            found = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], attn_mask=seen)
            x = self._norm(x + drop(self._linear(found.transpose(1, 2).flatten(2), f"{layer}.out")), f"{layer}.norm1")
            inner = functional.gelu(self._linear(x, f"{layer}.up"))
            x = self._norm(x + drop(self._linear(inner, f"{layer}.down")), f"{layer}.norm2")
        flat = x.flatten(0, 1)
        gap = functional.gelu(self._linear(torch.cat([flat[batch.before], flat[batch.after]], 1), "gap"))
        token = functional.gelu(self._linear(flat[batch.heads], "token"))
        made = {name: self._linear(gap, name) for name in ("marks", "first", "last", "held")}
        return made | {name: self._linear(token, name) for name in ("edits", "cases")}


class _Noting(Network):
    """A network that adds up x xᵀ over the inputs x of each matrix of its layers."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__(weights, {})
        self.sums: Weights = {}

    def _linear(self, x: Tensor, name: str) -> Tensor:
        if is_layered(name):
            flat = x.reshape(-1, x.shape[-1])
            self.sums[name] = flat.T @ flat + self.sums.get(name, 0)
        return super()._linear(x, name)


def moments(weights: Mapping[str, Tensor], batches: Sequence[Batch]) -> dict[str, Array]:
    """Return, for each matrix of an encoder's layers, the sum of x xᵀ over its inputs x, [inputs, inputs].

    Args:
        weights: the encoder's, with all its outputs.
        batches: what it reads.
    """
    network = _Noting(weights)
    with torch.no_grad():
        for batch in batches:
            network(batch)
    return {name: found.numpy() for name, found in network.sums.items()}


def agreed(networks: Sequence[Network], batch: Batch) -> Weights:
    """Return the mean of several networks' logits."""
    found = [network(batch) for network in networks]
    return {name: torch.stack([one[name] for one in found]).mean(0) for name in found[0]}


def weighed(encoders: Sequence[Weights], share: float | None, undo: bool = False) -> list[Weights]:
    """Return encoders the mean of whose logits is a weighted mean of those given.

    Args:
        encoders: the weights of each.
        share: what the last counts; the others share the rest equally. All count the same if not given.
        undo: return what they were made of.
    """
    if share is None:
        return list(encoders)
    count = len(encoders)
    factors = [(1 - share) * count / (count - 1)] * (count - 1) + [share * count]
    return [
        {name: value * (1 / factor if undo else factor) if name.removesuffix(".bias") in OUTPUTS else value
         for name, value in weights.items()}
        for weights, factor in zip(encoders, factors, strict=True)
    ]  # fmt: skip


def losses(found: Weights, batch: Batch) -> Weights:
    """Return the summed loss of each output that the network found, in nats."""
    made = {
        name: functional.cross_entropy(found[name], batch.tags[name], ignore_index=IGNORED, reduction="sum") for name in SINGLE
    }
    made["held"] = functional.binary_cross_entropy_with_logits(found["held"], batch.tags["held"], reduction="sum")
    return made


def gender_loss(found: Weights, batch: Batch, women: Tensor, men: Tensor) -> Tensor:
    """Return the summed loss of telling women from men where a gap begins or ends with a pronoun of either, in nats.

    A few gaps in a thousand are such: in the loss of all words, what tells the two apart is soon outweighed by all else.

    Args:
        found: what the network found.
        batch: what is right.
        women: the numbers of the words that speak of a woman.
        men: of those that speak of a man.
    """
    total = torch.zeros(())
    for name in ("first", "last"):
        tags = batch.tags[name]
        of_women = torch.isin(tags, women)
        known = of_women | torch.isin(tags, men)
        logits = found[name][known]
        margin = logits[:, women].logsumexp(1) - logits[:, men].logsumexp(1)
        total = total + functional.softplus(torch.where(of_women[known], -margin, margin)).sum()
    return total


def lessons(found: Weights, taught: Weights, batch: Batch) -> Weights:
    """Return the summed cross-entropy of each output and what a teacher found, in nats (Hinton et al. 2015)."""
    made = {}
    for name in SINGLE:
        known = batch.tags[name] != IGNORED
        made[name] = functional.cross_entropy(found[name][known], taught[name][known].softmax(1), reduction="sum")
    made["held"] = functional.binary_cross_entropy_with_logits(found["held"], taught["held"].sigmoid(), reduction="sum")
    return made


@dataclass(frozen=True, slots=True)
class Base:
    """What a tagger may be trained on from.

    Attributes:
        encoders: the weights of each encoder.
        tokenizer: what makes their pieces.
        words, edits: the names of the tags; none where it is no tagger yet.
        share: what the last encoder counts, if not as much as each other (`weighed`).
    """

    encoders: list[Weights]
    tokenizer: Tokenizer
    words: list[str]
    edits: list[str]
    share: float | None = None


def read_base(base: Path, layers: int | None = None) -> Base:
    """Read a BERT, an MPNet (Song et al. 2020) or a tagger.

    Args:
        base: its folder.
        layers: how many of its layers to keep, from the lowest; all if not given. A tagger's are all kept.

    Raises:
        RestoreError: it is none of them.
    """
    try:
        text = (base / TOKENIZER).read_text(encoding="utf-8")
        if (base / CARD).exists():
            bundle = open_bundle(base, FORMAT, VERSION)
            arrays = small_constants(bundle.file(GRAPH)) | map_tensors(bundle.file(WEIGHTS))
            card, share = bundle.card, bundle.card.get("share")
            encoders = weighed(_of_bundle(arrays), share, undo=True)
            return Base(encoders, Tokenizer.from_str(text), list(card["words"]), list(card["edits"]), share)
        config = json.loads((base / "config.json").read_text(encoding="utf-8"))
        if config["model_type"] not in ("bert", "mpnet") or config["num_attention_heads"] != HEADS:
            raise ValueError(f"{config['model_type']} is no BERT or MPNet of {HEADS} heads")
        tensors = {name: tensor.float() for name, tensor in load_file(base / "model.safetensors").items()}
        layers = min(layers or config["num_hidden_layers"], config["num_hidden_layers"])
        if config["model_type"] == "bert":
            return Base([_of_bert(tensors, layers)], Tokenizer.from_str(text), [], [])
        tokenizer = Tokenizer.from_str(_like_bert(text))
        return Base([_of_mpnet(tensors, layers, tokenizer)], tokenizer, [], [])
    except RestoreError:
        raise
    except Exception as error:  # safetensors and tokenizers raise their own
        raise RestoreError(NO_BASE.format(path=base, why=error)) from error


def small_constants(graph: Path) -> dict[str, Array]:
    """Return the constants that stand in a graph itself: it holds the smallest weights."""
    held = onnx.load(graph, load_external_data=False).graph.initializer
    return {
        one.name: onnx.numpy_helper.to_array(one).copy()
        for one in held
        if one.data_type == onnx.TensorProto.FLOAT and one.data_location != onnx.TensorProto.EXTERNAL
    }


def read_teacher(folder: Path, tokenizer: Tokenizer) -> Base:
    """Read a tagger to learn from.

    Raises:
        RestoreError: it is none, or its pieces are not the tokenizer's.
    """
    teacher = read_base(folder)
    if not teacher.words:
        raise RestoreError(NO_BASE.format(path=folder, why="no tagger"))
    if teacher.tokenizer.get_vocab() != tokenizer.get_vocab():
        raise RestoreError(OTHER_PIECES.format(path=folder))
    return teacher


def stacked(base: Weights, lower: Weights) -> Weights:
    """Return a tagger's encoder with a base's further layers on top of its own, which were made of the base's lower ones.

    What reads the highest layer nearly fits at once, as each layer changes little of what it reads.

    Raises:
        ValueError: they were not.
    """
    for name, value in lower.items():
        if is_layered(name) or name == NEAR:
            if name not in base:
                raise ValueError(f"the base has no {name!r}")
            if base[name].shape != value.shape:
                raise ValueError(f"the base's {name!r} has another shape")
    # The vectors of pieces are not learnt, and a tagger's are rounded.
    return {**base, **lower, EMBEDDING: base[EMBEDDING]}


def _of_bundle(arrays: Mapping[str, Array]) -> list[Weights]:
    """Return the weights of each encoder of a tagger, from what its bundle stores."""
    made: list[Weights] = []
    while (prefix := prefix_of(len(made))) + EMBEDDING in arrays:
        others = tuple(prefix_of(number) for number in range(1, len(made) + 2) if number != len(made))
        own = {
            name.removeprefix(prefix): array
            for name, array in arrays.items()
            if name.startswith(prefix) and not name.startswith(others)
            and name.removesuffix(SCALE).removesuffix(".bias").rpartition(".")[2] in PARTS
        }  # fmt: skip
        weights = unpacked({name: array for name, array in own.items() if not name.startswith(EMBEDDING)})
        weights |= floats({name: array for name, array in own.items() if name.startswith(EMBEDDING)})
        for name in [name for name in weights if is_layered(name)]:
            weights[name] = spread(weights[name] * weights.pop(name + SCALE))
        made.append({name: torch.from_numpy(array) for name, array in weights.items()})
    return made


def _of_bert(tensors: Weights, layers: int) -> Weights:
    """Return a BERT's weights by the names of the graph."""
    tensors = {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}
    weights = {
        "words": tensors["embeddings.word_embeddings.weight"],
        "places": tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0],
    }
    names = {
        "qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
        "out": ("attention.output.dense",),
        "norm1": ("attention.output.LayerNorm",),
    }
    return weights | _layers(tensors, layers, names)


SHIFT = 4
"""Special pieces that MPNet's vocabulary has before BERT's."""
DISTANCES, EXACT, FARTHEST = 16, 8, 128
"""Each way, distances of MPNet's that have a number, those of them that stand for one each, and where the last one begins."""


def _of_mpnet(tensors: Weights, layers: int, tokenizer: Tokenizer) -> Weights:
    """Return an MPNet's weights by the names of the graph, its pieces numbered as BERT's."""
    tensors = {name.removeprefix("mpnet."): tensor for name, tensor in tensors.items()}
    words = tensors["embeddings.word_embeddings.weight"]
    opening, padding, closing = words[:3]
    words = words[SHIFT:-1].clone()
    for name, vector in (("[PAD]", padding), (BEGIN, opening), (END, closing)):  # MPNet has them under other names
        words[tokenizer.token_to_id(name)] = vector
    places = tensors["embeddings.position_embeddings.weight"][2:]
    apart = torch.arange(1 - len(places), len(places))
    far = EXACT + (apart.abs() / EXACT).clamp(min=1).log() / math.log(FARTHEST / EXACT) * (DISTANCES - EXACT)
    numbers = torch.where(apart.abs() < EXACT, apart.abs(), far.long().clamp(max=DISTANCES - 1))
    near = tensors["encoder.relative_attention_bias.weight"][numbers + DISTANCES * (apart > 0)]
    names = {
        "qkv": ("attention.attn.q", "attention.attn.k", "attention.attn.v"),
        "out": ("attention.attn.o",),
        "norm1": ("attention.LayerNorm",),
    }
    return {"words": words, "places": places, NEAR: near} | _layers(tensors, layers, names)


def _like_bert(text: str) -> str:
    """Return an MPNet's tokenizer with BERT's numbers, which are its own less the special pieces before them."""
    made = json.loads(text)
    vocabulary = {piece: number - SHIFT for piece, number in made["model"]["vocab"].items() if piece != "<mask>"}
    made["model"]["vocab"] = {piece: number for piece, number in vocabulary.items() if number >= 0}
    return json.dumps(made | {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None})


def _layers(tensors: Weights, layers: int, names: Mapping[str, Sequence[str]]) -> Weights:
    """Return the weights of layers, and the norm before them, by the names of the graph."""
    weights = {"norm": tensors["embeddings.LayerNorm.weight"], "norm.bias": tensors["embeddings.LayerNorm.bias"]}
    names = {**names, "up": ("intermediate.dense",), "down": ("output.dense",), "norm2": ("output.LayerNorm",)}
    for layer in range(layers):
        part = f"encoder.layer.{layer}."
        for name, parts in names.items():
            joined = torch.cat([tensors[f"{part}{full}.weight"] for full in parts])
            weights[f"{layer}.{name}"] = joined.T.contiguous() if joined.dim() == 2 else joined
            weights[f"{layer}.{name}.bias"] = torch.cat([tensors[f"{part}{full}.bias"] for full in parts])
    return weights
