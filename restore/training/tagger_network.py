"""The tagger's network in PyTorch, made of a BERT's weights or of a tagger's, and its losses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import onnx
import onnx.numpy_helper
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from restore.bundle import CARD, open_bundle
from restore.errors import RestoreError
from restore.models.tagger import FORMAT, GRAPH, TOKENIZER, VERSION, WEIGHTS, floats
from restore.tensors import map_tensors
from restore.training.graph import Array
from restore.training.tagger_graph import EPSILON, HEADS
from restore.training.tagger_rows import IGNORED, Batch

NO_BASE = "{path}: {why}; give a folder with a BERT in safetensors and its tokenizer.json, or a tagger"

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

    def weight(self, name: str) -> Tensor:
        """Return the parameter of a name."""
        return self.get_parameter(self.names[name])

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.weight(name) + self.weight(f"{name}.bias")

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], self.weight(name), self.weight(f"{name}.bias"), EPSILON)

    def forward(self, batch: Batch) -> Weights:
        """Return the logits of all tags of a batch's gaps and tokens."""
        rows, length = batch.pieces.shape
        x = self._norm(self.weight("words")[batch.pieces] + self.weight("places")[:length], "norm")
        seen = (batch.pieces != 0)[:, None, None, :]
        for layer in range(self.layers):
            qkv = self._linear(x, f"{layer}.qkv").view(rows, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
            found = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], attn_mask=seen)
            x = self._norm(x + self._linear(found.transpose(1, 2).flatten(2), f"{layer}.out"), f"{layer}.norm1")
            inner = functional.gelu(self._linear(x, f"{layer}.up"))
            x = self._norm(x + self._linear(inner, f"{layer}.down"), f"{layer}.norm2")
        flat = x.flatten(0, 1)
        gap = functional.gelu(self._linear(torch.cat([flat[batch.before], flat[batch.after]], 1), "gap"))
        token = functional.gelu(self._linear(flat[batch.heads], "token"))
        made = {name: self._linear(gap, name) for name in ("marks", "first", "last", "held")}
        return made | {name: self._linear(token, name) for name in ("edits", "cases")}


def losses(network: Network, batch: Batch) -> Weights:
    """Return the summed loss of each output, in nats."""
    found = network(batch)
    made = {
        name: functional.cross_entropy(found[name], batch.tags[name], ignore_index=IGNORED, reduction="sum")
        for name in ("marks", "first", "last", "edits", "cases")
    }
    made["held"] = functional.binary_cross_entropy_with_logits(found["held"], batch.tags["held"], reduction="sum")
    return made


def read_base(base: Path) -> tuple[Weights, Tokenizer, list[str], list[str]]:
    """Read a BERT, or a tagger; return its weights, its tokenizer, and the names of its tags, if it has any.

    Raises:
        RestoreError: it is neither.
    """
    try:
        tokenizer = Tokenizer.from_file(str(base / TOKENIZER))
        if (base / CARD).exists():
            bundle = open_bundle(base, FORMAT, VERSION)
            arrays = small_constants(bundle.file(GRAPH)) | floats(map_tensors(bundle.file(WEIGHTS)))
            weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
            return weights, tokenizer, list(bundle.card["words"]), list(bundle.card["edits"])
        config = json.loads((base / "config.json").read_text(encoding="utf-8"))
        if config["model_type"] != "bert" or config["num_attention_heads"] != HEADS:
            raise ValueError(f"{config['model_type']} is no BERT of {HEADS} heads")
        return _named(load_file(base / "model.safetensors"), config["num_hidden_layers"]), tokenizer, [], []
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


def _named(tensors: Mapping[str, Tensor], layers: int) -> Weights:
    """Return a BERT's weights by the names of the graph."""
    tensors = {name.removeprefix("bert."): tensor.float() for name, tensor in tensors.items()}
    weights = {
        "words": tensors["embeddings.word_embeddings.weight"],
        "places": tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0],
        "norm": tensors["embeddings.LayerNorm.weight"],
        "norm.bias": tensors["embeddings.LayerNorm.bias"],
    }
    matrices = {
        "qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
        "out": ("attention.output.dense",),
        "up": ("intermediate.dense",),
        "down": ("output.dense",),
    }
    norms = {"norm1": "attention.output.LayerNorm", "norm2": "output.LayerNorm"}
    for layer in range(layers):
        part = f"encoder.layer.{layer}."
        for name, parts in matrices.items():
            weights[f"{layer}.{name}"] = torch.cat([tensors[f"{part}{full}.weight"] for full in parts]).T.contiguous()
            weights[f"{layer}.{name}.bias"] = torch.cat([tensors[f"{part}{full}.bias"] for full in parts])
        for name, full in norms.items():
            weights[f"{layer}.{name}"] = tensors[f"{part}{full}.weight"]
            weights[f"{layer}.{name}.bias"] = tensors[f"{part}{full}.bias"]
    return weights
