"""The ONNX graph of the tagger: encoders with a layer for gaps and one for tokens each, built operator by operator.

An encoder is a BERT or an MPNet. Inputs, with a row of n pieces and m gaps, each before a token:

    x       [n, width] float32  the vectors of the row's pieces; of a second encoder `e1.x`, and so on
    order   [n] int64           0 to n - 1
    before  [m] int64           the place of the last piece before each gap
    after   [m] int64           the place of the first piece after it, which begins its token

Outputs, in the order that `restore.tags.Tags` has them: marks_tags, first_tags, ... They are of the mean of the encoders' logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import TensorProto, helper

from restore.models.tagger import LAYERED, prefix_of
from restore.training.graph import IR_VERSION, MICROSOFT, OPSET, Array, Builder, declared
from restore.training.quantise import Rounded, block_size, hadamard, int8_linear, rounded

HEADS = 12
EPSILON = 1e-12
NEAR = "near"
"""The weight that holds what each head adds for each distance between two pieces, where there is one."""
GAP_TAGS, TOKEN_TAGS = ("marks", "first", "last", "held"), ("edits", "cases")


Encoder = Mapping[str, Array]
"""The weights of an encoder: `places` [places, width], `norm` and `norm.bias` [width]; for each layer l `l.qkv`, `l.out`, `l.up`,
`l.down` [inputs, outputs], `l.norm1` and `l.norm2`; `gap` and `token`; and one for each output. All but the first have a bias, of
the same name with `.bias`. May have `near` [2 * places - 1, heads], which each head adds to the scores of pieces by how far one
is after the other, from the most before. The matrices of layers are spread: see `spread`."""


def spread(weight: Array) -> Array:
    """Multiply each block of a matrix's inputs by a Hadamard matrix; twice is nothing.

    The layer's own inputs are multiplied likewise when it is run: what stands out in one of them is shared by many, and little
    is lost when they are rounded.

    Args:
        weight: [inputs, outputs].
    """
    size = block_size(len(weight))
    return np.asarray((hadamard(size) @ weight.reshape(-1, size, weight.shape[1])).reshape(weight.shape), np.float32)


def build_tagger(
    encoders: Sequence[Encoder], levels: Sequence[int], moments: Sequence[Mapping[str, Array]]
) -> tuple[bytes, dict[str, Array]]:
    """Build the graph.

    Args:
        encoders: the weights of each.
        levels: the largest integer that the layers' matrices of each are rounded to.
        moments: for each of these matrices, the sum of x xᵀ over its inputs, spread likewise; it decides how they are rounded.

    Returns:
        The ONNX file, and its constants by name; those of a second encoder with `e1.` before it, and so on.
    """
    builder = Builder()
    logits: dict[str, list[str]] = {}
    inputs = []
    for number, (weights, most, inner) in enumerate(zip(encoders, levels, moments, strict=True)):
        for name, found in _Encoder(builder, prefix_of(number), weights, most, inner).logits().items():
            logits.setdefault(name, []).append(found)
        inputs.append(helper.make_tensor_value_info(f"{prefix_of(number)}x", TensorProto.FLOAT, ["n", weights["norm"].size]))
    outputs = []
    for name, parts in logits.items():
        mean = builder.op("Mean", *parts)
        if name == "held":
            builder.nodes.append(helper.make_node("Identity", [mean], [f"{name}_tags"]))
        else:
            builder.nodes.append(helper.make_node("LogSoftmax", [mean], [f"{name}_tags"], axis=1))
        outputs.append(helper.make_tensor_value_info(f"{name}_tags", TensorProto.FLOAT, ["m", encoders[0][name].shape[1]]))
    integers = TensorProto.INT64
    inputs += [helper.make_tensor_value_info("order", integers, ["n"])]
    inputs += [helper.make_tensor_value_info(name, integers, ["m"]) for name in ("before", "after")]
    graph = helper.make_graph(builder.nodes, "restore-tagger", inputs, outputs, declared(builder))
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="restore")
    return bytes(made.SerializeToString(deterministic=True)), builder.constants


class _Encoder:
    """Builds one encoder into a graph."""

    def __init__(self, builder: Builder, prefix: str, weights: Encoder, levels: int, moments: Encoder) -> None:
        self._builder = builder
        self._prefix = prefix
        self._weights = weights
        self._rounded: dict[str, Rounded] = {
            prefix + name: rounded(weight.T, moments[name], levels)
            for name, weight in weights.items()
            if name.rpartition(".")[2] in LAYERED
        }
        self._product = int8_linear(self._rounded)

    def logits(self) -> dict[str, str]:
        """Build the encoder; return the name of each output's logits."""
        op, width = self._builder.op, self._weights["norm"].size
        places = op("Gather", self._constant("places"), "order")
        x = self._norm(op("Add", self._prefix + "x", places), "norm")
        near = _near(self._builder, self._constant(NEAR), len(self._weights[NEAR]) // 2) if NEAR in self._weights else None
        for layer in range(sum(name.endswith(".qkv") for name in self._weights)):
            part = f"{layer}."
            added = self._linear(_attention(self._builder, self._linear(x, part + "qkv"), width, near), part + "out")
            x = self._norm(op("Add", x, added), part + "norm1")
            added = self._linear(self._gelu(self._linear(x, part + "up")), part + "down")
            x = self._norm(op("Add", x, added), part + "norm2")
        after = op("Gather", x, "after")
        gap = self._gelu(self._linear(op("Concat", op("Gather", x, "before"), after, axis=1), "gap"))
        token = self._gelu(self._linear(after, "token"))
        return {name: self._linear(gap, name) for name in GAP_TAGS} | {name: self._linear(token, name) for name in TOKEN_TAGS}

    def _constant(self, name: str) -> str:
        return self._builder.constant(self._prefix + name, self._weights[name].astype(np.float32))

    def _linear(self, x: str, name: str) -> str:
        if self._prefix + name not in self._rounded:
            product = self._builder.op("MatMul", x, self._constant(name))
        else:
            product = self._product(self._builder, self._spread(x, len(self._weights[name])), self._prefix + name, np.empty(0))
        return str(self._builder.op("Add", product, self._constant(name + ".bias")))

    def _spread(self, x: str, inputs: int) -> str:
        op, integers, size = self._builder.op, self._builder.integers, block_size(inputs)
        blocks = op("Reshape", x, integers(-1, inputs // size, size))
        matrix = self._builder.constant(f"spread_{size}", hadamard(size).astype(np.float32))
        return str(op("Reshape", op("MatMul", blocks, matrix), integers(-1, inputs)))

    def _gelu(self, x: str) -> str:
        return str(self._builder.op("Gelu", x, domain=MICROSOFT))

    def _norm(self, x: str, name: str) -> str:
        scale, bias = self._constant(name), self._constant(name + ".bias")
        return str(self._builder.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON))


def _near(builder: Builder, near: str, places: int) -> str:
    """Return what heads add for the distances of pieces, [heads, n, n]."""
    columns, rows = (builder.op("Unsqueeze", "order", builder.integers(axis)) for axis in (0, 1))
    apart = builder.op("Add", builder.op("Sub", columns, rows), builder.integers(places))
    return str(builder.op("Transpose", builder.op("Gather", near, apart), perm=[2, 0, 1]))


def _attention(builder: Builder, qkv: str, width: int, near: str | None) -> str:
    """Return what each piece attends to, [n, width], of queries, keys and values in one."""
    size = width // HEADS
    parts = builder.op("Transpose", builder.op("Reshape", qkv, builder.integers(-1, 3 * HEADS, size)), perm=[1, 0, 2])
    queries, keys, values = builder.op("Split", parts, outputs=3, axis=0, num_outputs=3)
    scores = builder.op("FusedMatMul", queries, keys, domain=MICROSOFT, transB=1, alpha=size**-0.5)
    if near is not None:
        scores = builder.op("Add", scores, near)
    seen = builder.op("MatMul", builder.op("Softmax", scores, axis=2), values)  # [heads, n, size]
    return str(builder.op("Reshape", builder.op("Transpose", seen, perm=[1, 0, 2]), builder.integers(-1, width)))
