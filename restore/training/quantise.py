"""Float weights to int8: turned so that no number stands out, then rounded so that errors cancel.

**Turning.** The residual stream of a Llama may be multiplied by any rotation, if the weights around it are multiplied by
its inverse; so may the values of each head. After a random rotation the activations are distributed like a bell, and a
row of them loses little when it is rounded to 255 levels of its own largest. What is inside the feed-forward part
cannot be turned beforehand, because of the product there: it is multiplied by small Hadamard blocks as it comes.

**Rounding.** Weights are rounded one input at a time, and the error of each is made up for by those not yet rounded,
given how inputs go together in real text (GPTQ: Frantar et al. 2022, https://arxiv.org/abs/2210.17323). Against plain
rounding this leaves a sixth of the divergence.

**63 levels each way at most, not 127.** Processors without VNNI add two products of a byte and a signed byte in 16 bits, which
overflow beyond 64 levels. So all processors give the same sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from restore.models.batch import Feed, batch_of
from restore.models.network import SCALE, Network
from restore.models.pool import NONE_SEEN
from restore.models.shape import Shape
from restore.training.graph import MICROSOFT, Builder, build, float_linear

Array = npt.NDArray[Any]
Weights = dict[str, Array]

MOST_LEVELS = 63
LEVELS = {"qkv": 63, "out": 40, "up": 52, "down": 63, "head": 48}
"""The largest integer that each kind of weight is rounded to: fewer where it costs least, so that all stays below 100 MB."""
BLOCK = 32
"""How many inner activations are spread over each other, at most."""
_ACTIVATION_LEVELS, _ACTIVATION_ZERO = 127, 128
_COLUMNS = 64  # weights rounded before the rest of a matrix is told


@dataclass(frozen=True, slots=True)
class Rounded:
    """A weight in integers: `integers * scales` is the weight, [inputs, outputs]; a scale for each output."""

    integers: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]


def turned(shape: Shape, weights: Mapping[str, Array], seed: int = 0) -> Weights:
    """Return weights of the same model with its inner bases turned. They have `spread` and `turn` besides.

    Args:
        shape: the model's dimensions.
        weights: as `restore.training.graph.build` takes them.
        seed: which rotations to take.
    """
    chance = np.random.default_rng(seed)
    basis = _rotation(chance, shape.width)
    block = hadamard(block_size(shape.inner))
    made: Weights = {}
    for layer in range(shape.layers):
        part = f"{layer}."
        qkv = weights[part + "qkv"] * weights[part + "norm1"] @ basis
        out = basis.T @ weights[part + "out"]
        _turn_values(shape, qkv, out, chance)
        down = basis.T @ weights[part + "down"]
        made[part + "qkv"], made[part + "out"] = qkv, out
        made[part + "up"] = weights[part + "up"] * weights[part + "norm2"] @ basis
        made[part + "down"] = (down.reshape(shape.width, -1, len(block)) @ block).reshape(down.shape)
        made[part + "norm1"] = made[part + "norm2"] = np.ones(shape.width)
    made["norm"] = np.ones(shape.width)
    made["turn"] = basis.T @ np.diag(weights["norm"].astype(np.float64)) @ basis
    made["head"] = weights["head"] @ basis
    if "embedding" in weights:
        made["embedding"] = weights["embedding"] @ basis
    made["spread"] = block
    return {name: np.ascontiguousarray(array, np.float32) for name, array in made.items()}


def _turn_values(shape: Shape, qkv: Array, out: Array, chance: np.random.Generator) -> None:
    """Turn the values of each key-value head in place, and the outputs that are made of them back."""
    width, share = shape.head_width, shape.heads // shape.groups
    for group in range(shape.groups):
        rotation = _rotation(chance, width)
        start = (shape.heads + shape.groups + group) * width
        qkv[start : start + width] = rotation.T @ qkv[start : start + width]
        for head in range(group * share, (group + 1) * share):
            columns = slice(head * width, (head + 1) * width)
            out[:, columns] = out[:, columns] @ rotation


def _rotation(chance: np.random.Generator, size: int) -> Array:
    return np.linalg.qr(chance.standard_normal((size, size)))[0]


def block_size(size: int) -> int:
    """Return the largest power of 2 up to `BLOCK` that divides a size."""
    block = BLOCK
    while size % block:
        block //= 2
    return block


def hadamard(size: int) -> Array:
    """Return the orthogonal Hadamard matrix of a size that is a power of 2."""
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return np.asarray(matrix / np.sqrt(size))


def moments(
    shape: Shape, weights: Mapping[str, Array], texts: Iterable[Sequence[int]], separator: int, threads: int
) -> Weights:
    """Return, for each weight, the sum of x xᵀ over its inputs x in real text, [inputs, inputs].

    Args:
        shape: the model's dimensions.
        weights: the model's, in float.
        texts: pieces of whole sequences as the model sees them.
        separator: the piece that ends the source.
        threads: how many cores to use.
    """
    inputs: dict[str, str] = {}

    def noting(builder: Builder, x: str, name: str, weight: Array) -> str:
        inputs[name] = x
        return float_linear(builder, x, name, weight)

    graph, constants = build(shape, weights, noting)
    model = onnx.load_from_string(graph)
    for x in inputs.values():
        model.graph.output.append(helper.make_tensor_value_info(x, onnx.TensorProto.FLOAT, ["n", None]))
    network = Network(bytes(model.SerializeToString()), constants, threads)
    nothing = np.zeros((2 * shape.layers, 1, shape.groups, 1, shape.head_width), np.float32)
    table = weights.get("embedding", weights["head"])
    sums: Weights = {}
    for text in texts:
        feed = Feed(0, tuple(text), 0, 0, NONE_SEEN, source=text.index(separator))
        batch = batch_of([feed], 1, 1, shape.heads // shape.groups, shape.positions)
        found = network.run_all(table[batch.pieces].astype(np.float32), batch, nothing)[2:]
        for name, read in zip(inputs, found, strict=True):
            sums[name] = sums.get(name, 0) + read.T @ read
    return sums


def rounded(weight: Array, moment: Array | None = None, levels: int = MOST_LEVELS) -> Rounded:
    """Round a weight to integers.

    Args:
        weight: [outputs, inputs].
        moment: the sum of x xᵀ over its inputs; without it, each number is rounded by itself.
        levels: the largest integer.
    """
    rest = np.ascontiguousarray(weight.T, np.float32)  # [inputs, outputs], a copy to work on
    scales = np.maximum(np.abs(rest).max(0), 1e-12) / levels
    if moment is None:
        return Rounded(np.rint(rest / scales).astype(np.int8), scales)
    factor = _error_factor(moment)
    integers = np.empty(rest.shape, np.int8)
    for start in range(0, len(rest), _COLUMNS):
        end = min(start + _COLUMNS, len(rest))
        errors = np.empty((end - start, rest.shape[1]), np.float32)
        for row in range(start, end):
            wanted = rest[row]
            nearest = np.clip(np.rint(wanted / scales), -levels, levels)
            integers[row] = nearest
            errors[row - start] = (wanted - nearest * scales) / factor[row, row]
            rest[row + 1 : end] -= np.outer(factor[row, row + 1 : end], errors[row - start])
        rest[end:] -= factor[start:end, end:].T @ errors
    return Rounded(integers, scales)


def _error_factor(moment: Array) -> npt.NDArray[np.float32]:
    """Return the upper Cholesky factor of the inverse of a moment, which says who makes up for whose error."""
    damped = (moment + moment.T).astype(np.float64) / 2  # sums in float32 may differ by their order on its two sides
    damped[np.diag_indices_from(damped)] += 0.01 * np.trace(damped) / len(damped) + 1e-9
    return np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)


def int8_linear(weights: Mapping[str, Rounded]) -> Callable[[Builder, str, str, Array], str]:
    """Return how to multiply by rounded weights: each row of x is divided by its largest, rounded, and so multiplied.

    A row of zeros becomes 0 / 0, then some integers, and with the last product zeros again.

    What comes from a norm could do without the division, clipped at a fixed magnitude, but with coarser steps: on 60 windows
    of held-out news the divergence from floats was 0.0023 nats where these inputs were clipped at 5, 0.0016 at 3.75, and is
    0.0012 as it is. On one processor a run for one window took a tenth longer with the division, on another (AVX2) no longer.

    Args:
        weights: the rounded weights, by the names they have in the graph.
    """

    def linear(builder: Builder, x: str, name: str, weight: Array) -> str:
        step = builder.constant("x_step", np.array(1 / _ACTIVATION_LEVELS, np.float32))
        zero = builder.constant("x_zero", np.array(_ACTIVATION_ZERO, np.uint8))
        largest = builder.op("ReduceMax", builder.op("Abs", x), builder.integers(1), keepdims=1)
        integers = builder.op("QuantizeLinear", builder.op("Div", x, largest), step, zero)
        factors = builder.constant(name, weights[name].integers), builder.constant(name + SCALE, weights[name].scales)
        product = builder.op("MatMulIntegerToFloat", integers, factors[0], step, factors[1], zero, domain=MICROSOFT)
        return str(builder.op("Mul", product, largest))

    return linear
