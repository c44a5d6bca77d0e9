"""From a trained checkpoint to the bundle that restore runs, and back to a checkpoint that training can go on from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from restore.bundle import Bundle, open_bundle, write_bundle
from restore.errors import ResourceError, RestoreError
from restore.models.network import EMBEDDING, HEAD_WEIGHT, SCALE, available_threads, pack, unpack
from restore.models.neural import (
    END,
    FORMAT,
    GRAPH,
    SEPARATOR,
    SEQUENCE,
    SEQUENCE_FIELD,
    TOKENIZER,
    VERSION,
    plain_pieces,
    prompt_of,
    special,
)  # fmt: skip
from restore.models.shape import Shape
from restore.tensors import map_tensors, write_tensors
from restore.training.graph import build
from restore.training.pairs import Window
from restore.training.quantise import LEVELS, Rounded, int8_linear, moments, rounded, turned

Array = npt.NDArray[Any]

MOST_BYTES = 48_000_000
"""Of one file of weights."""

NO_CHECKPOINT = "{path}: {why}; give the folder that `restore train neural` wrote"

_EMBEDDING, _NORM, _HEAD = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"


def export(
    checkpoint: str | os.PathLike[str],
    out: str | os.PathLike[str],
    windows: Iterable[Window] = (),
    card: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Bundle:
    """Quantise a trained model and write it as a bundle.

    Args:
        checkpoint: a folder with `model.safetensors`, `config.json` and `tokenizer.json` of a Llama.
        out: the bundle's folder.
        windows: training windows to round the weights by, 32 or more; without them, each number is rounded by itself,
            which costs several times as much quality.
        card: what the card should say besides: `about`, `licence`, `command`, scores.
        progress: called with lines to show.

    Raises:
        RestoreError: the checkpoint is missing, incomplete, or no plain Llama.
    """
    folder, threads = Path(checkpoint), available_threads()
    shape, weights = read_checkpoint(folder)
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    weights = turned(shape, weights)
    texts = [sequence(tokenizer, window) for window in windows]
    sums: Mapping[str, Array] = {}
    if texts:
        progress(f"reading {len(texts)} windows")
        sums = moments(shape, weights, texts, special(tokenizer, SEPARATOR), threads)
    integers: dict[str, Rounded] = {}
    for name, weight in weights.items():
        kind = name.rpartition(".")[2]
        if kind in LEVELS:
            progress(f"rounding {name}")
            full = HEAD_WEIGHT if name == "head" else name
            integers[full] = rounded(weight, sums.get(full), LEVELS[kind])
    graph, constants = build(shape, weights, int8_linear(integers))
    if EMBEDDING in weights:
        table = rounded(weights[EMBEDDING])
        constants |= {EMBEDDING: table.integers, EMBEDDING + SCALE: table.scales}
    for name in ("cos", "sin"):
        del constants[name]
    packed = {name: pack(array) if array.dtype == np.int8 else array for name, array in constants.items()}
    files: dict[str, Callable[[Path], None]] = {
        GRAPH: lambda path: _write_bytes(path, graph),
        TOKENIZER: lambda path: _write_bytes(path, (folder / TOKENIZER).read_bytes()),
    }
    how = {"shape": shape.as_dict(), "levels": LEVELS, "windows": len(texts)}
    for number, group in enumerate(_grouped(packed), 1):
        files[f"weights-{number}.safetensors"] = lambda path, group=group: write_tensors(path, group)  # type: ignore[misc]
    return write_bundle(out, FORMAT, VERSION, files, {**(card or {}), **how})


def sequence(tokenizer: Tokenizer, window: Window) -> list[int]:
    """Return the pieces of a window as the model reads and writes them."""
    target = plain_pieces(tokenizer, window.target)
    end = [special(tokenizer, END)] if window.closed else []
    return [*prompt_of(tokenizer, window.source.split(" "), window.prefix), *target, *end]


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _grouped(arrays: Mapping[str, Array]) -> list[dict[str, Array]]:
    """Divide arrays into groups for one file each."""
    groups: list[dict[str, Array]] = [{}]
    size = 0
    for name, array in arrays.items():
        if size and size + array.nbytes > MOST_BYTES:
            groups.append({})
            size = 0
        groups[-1][name] = array
        size += array.nbytes
    return groups


def read_checkpoint(folder: Path) -> tuple[Shape, dict[str, Array]]:
    """Read a Llama checkpoint; return its dimensions, and its weights as `restore.training.graph.build` takes them.

    Raises:
        RestoreError: it is missing, incomplete, or no plain Llama.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "model.safetensors")
        shape = shape_of(config)
        weights = _named(shape, tensors, bool(config.get("tie_word_embeddings")))
    except KeyError as error:
        raise RestoreError(NO_CHECKPOINT.format(path=folder, why=f"it has no {error.args[0]}")) from error
    except Exception as error:  # safetensors raises its own
        raise RestoreError(NO_CHECKPOINT.format(path=folder, why=error)) from error
    return shape, {name: array.astype(np.float32) for name, array in weights.items()}


def shape_of(config: Mapping[str, Any]) -> Shape:
    """Return a Llama's dimensions from its configuration.

    Raises:
        ValueError: it is no plain Llama.
        KeyError: the configuration lacks something.
    """
    older = {"rope_theta": config.get("rope_theta", 10000.0), **(config.get("rope_scaling") or {})}
    rope = config.get("rope_parameters") or older
    kind = rope.get("rope_type", rope.get("type", "default"))
    if config["model_type"] != "llama" or kind != "default" or config.get("hidden_act", "silu") != "silu":
        raise ValueError(f"{config['model_type']} with {kind} positions is no plain Llama")
    if config.get("attention_bias") or config.get("mlp_bias"):
        raise ValueError("biases are not known here")
    heads = config["num_attention_heads"]
    return Shape(
        layers=config["num_hidden_layers"],
        width=config["hidden_size"],
        heads=heads,
        groups=config.get("num_key_value_heads") or heads,
        head_width=config.get("head_dim") or config["hidden_size"] // heads,
        inner=config["intermediate_size"],
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"],
        theta=float(rope["rope_theta"]),
        epsilon=float(config["rms_norm_eps"]),
    )


_PARTS = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
    "norm1": ("input_layernorm",),
    "norm2": ("post_attention_layernorm",),
}


def _names(layer: int, parts: Sequence[str]) -> list[str]:
    return [f"model.layers.{layer}.{part}.weight" for part in parts]


def _named(shape: Shape, tensors: Mapping[str, Array], tied: bool) -> dict[str, Array]:
    weights = {
        f"{layer}.{name}": np.concatenate([tensors[full] for full in _names(layer, parts)])
        for layer in range(shape.layers)
        for name, parts in _PARTS.items()
    }
    weights["norm"] = tensors[_NORM]
    weights["head"] = tensors[_EMBEDDING if tied else _HEAD]
    if not tied:
        weights[EMBEDDING] = tensors[_EMBEDDING]
    return weights


def unexport(bundle: str | os.PathLike[str], out: str | os.PathLike[str]) -> None:
    """Write the checkpoint of a bundle, from which training can go on; it computes what the bundle does, but for rounding.

    Args:
        bundle: a bundle's folder.
        out: the folder for `model.safetensors`, `config.json` and `tokenizer.json`.

    Raises:
        ResourceError: the bundle is missing, damaged, or of another version.
    """
    opened = open_bundle(bundle, FORMAT, VERSION)
    shape, constants = _constants(opened)
    floats = _dequantised(constants)
    try:
        tensors = _unturned(shape, floats)
    except (ValueError, KeyError) as error:
        raise ResourceError(f"{opened.folder}: cannot be made a checkpoint ({error})") from error
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    text = opened.file(TOKENIZER).read_text(encoding="utf-8")
    (folder / TOKENIZER).write_text(text, encoding="utf-8")
    config = json.dumps(_config_of(shape, EMBEDDING not in floats), indent=2)
    (folder / "config.json").write_text(config + "\n", encoding="utf-8")


def _constants(bundle: Bundle) -> tuple[Shape, dict[str, Array]]:
    """Return a bundle's dimensions and its graph's constants; raise ResourceError if something is wrong with them."""
    arrays: dict[str, Array] = {}
    for name in bundle.card["files"]:
        if name.endswith(".safetensors"):
            arrays.update(map_tensors(bundle.file(name)))
    try:
        shape = Shape.from_dict(bundle.card.get("shape") or {})
        return shape, unpack(arrays, shape, available_threads())
    except (ValueError, KeyError) as error:
        raise ResourceError(f"{bundle.folder}: its weights cannot be read ({error})") from error


def rebuild(bundle: str | os.PathLike[str], out: str | os.PathLike[str], card: Mapping[str, Any] | None = None) -> Bundle:
    """Write a bundle with the graph that `export` makes now, its integers and tokenizer left as they are.

    Args:
        bundle: a bundle's folder, made by any version of this module.
        out: the new bundle's folder.
        card: what the new card should say besides what the old one says.

    Raises:
        ResourceError: the bundle is missing, damaged, or of another version.
    """
    opened = open_bundle(bundle, FORMAT, VERSION)
    shape, constants = _constants(opened)
    weights = {name: array for name, array in constants.items() if name not in ("cos", "sin") and not name.endswith(SCALE)}
    weights["head"] = weights.pop(HEAD_WEIGHT)
    integers = {name: Rounded(constants[name], constants[name + SCALE]) for name in constants if name + SCALE in constants}
    graph, _ = build(shape, weights, int8_linear(integers))
    files: dict[str, Callable[[Path], None]] = {
        name: lambda path, name=name: _write_bytes(path, opened.file(name).read_bytes())  # type: ignore[misc]
        for name in opened.card["files"]
    }
    files[GRAPH] = lambda path: _write_bytes(path, graph)
    return write_bundle(out, FORMAT, VERSION, files, {**opened.card, **(card or {})})


def _dequantised(constants: Mapping[str, Array]) -> dict[str, Array]:
    """Return weights as floats, [outputs, inputs], from the constants of a graph."""
    floats: dict[str, Array] = {}
    for name, array in constants.items():
        scales = constants.get(name + SCALE)
        if scales is not None:
            floats[name] = (array * scales).T.astype(np.float64)
        elif not name.endswith(SCALE):
            floats[name] = array.astype(np.float64)
    return floats


def _unturned(shape: Shape, floats: Mapping[str, Array]) -> dict[str, Array]:
    """Turn weights back, as far as a plain Llama needs it.

    `turn` is Rᵀ G R, with R the rotation of the residual stream and G the last norm's weights: so its eigenvectors are
    R, but for order and signs, which make no difference.
    """
    gains, basis = np.linalg.eigh(floats["turn"].T)
    block = floats["spread"]
    tensors: dict[str, Array] = {_NORM: gains, _EMBEDDING: floats.get(EMBEDDING, floats[HEAD_WEIGHT]) @ basis}
    if EMBEDDING in floats:
        tensors[_HEAD] = floats[HEAD_WEIGHT] @ basis
    queries, keys = shape.heads * shape.head_width, shape.groups * shape.head_width
    cuts = {"qkv": [queries, queries + keys], "up": [shape.inner]}
    for layer in range(shape.layers):
        part = f"{layer}."
        down = floats[part + "down"]
        turned_back = {
            "qkv": floats[part + "qkv"] @ basis,
            "out": basis.T @ floats[part + "out"],
            "up": floats[part + "up"] @ basis,
            "down": basis.T @ (down.reshape(shape.width, -1, len(block)) @ block.T).reshape(down.shape),
            "norm1": floats[part + "norm1"],
            "norm2": floats[part + "norm2"],
        }
        for name, weight in turned_back.items():
            for full, piece in zip(_names(layer, _PARTS[name]), np.split(weight, cuts.get(name, [])), strict=True):
                tensors[full] = piece
    return {name: np.ascontiguousarray(array, np.float32) for name, array in tensors.items()}


def _config_of(shape: Shape, tied: bool) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "hidden_act": "silu",
        "hidden_size": shape.width,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.groups,
        "head_dim": shape.head_width,
        "max_position_embeddings": shape.positions,
        "rms_norm_eps": shape.epsilon,
        "rope_parameters": {"rope_theta": shape.theta, "rope_type": "default"},
        "tie_word_embeddings": tied,
        "vocab_size": shape.vocabulary,
        SEQUENCE_FIELD: SEQUENCE,
    }
