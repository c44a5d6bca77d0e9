"""The ONNX graph of a Llama that reads a pool of keys and values, built operator by operator.

One run feeds n pieces. They belong to *lanes*: the pieces of one lane share what came before, which is how the
hypotheses of a beam share a text. A lane's earlier keys and values stand in its own slots of a pool, and a mask says
which slots each piece sees, so that a fork or a reorder of hypotheses copies nothing.

Inputs, with n pieces, d lanes, at most r pieces a lane, c slots a lane, g key-value heads of width w, each for j query
heads, and `width` the model's own:

    x          [n, width] float32     the embedded pieces
    positions  [d, r]     int64       the position of each piece in its text
    rows       [d, r]     int64       the number of each lane's pieces among the n; any number where there are fewer
    back       [n]        int64       for each piece, its place in `rows`, flattened
    head       [m]        int64       the pieces whose successors are wanted
    past_mask  [d, 1, j*r, c] float32 0 where a piece sees a slot, else -1e9; the same for each of the j heads
    new_mask   [d, 1, j*r, r] float32 0 where a piece sees a piece of this run (itself included), else -1e9
    k0 v0 ...  [d, g, c, w] float32   for each layer, the pool's keys and values

Outputs:

    logprobs   [m, vocabulary] float32  ln P(piece | what `head` sees)
    new        [d, 2*layers*g, r, w]    the keys and values of this run's pieces, to be put into the pool: k0 v0 k1 v1 ...

Everything outside attention works on the n rows alone, so lanes of unequal length cost no padding there. All constants
are external: the file has no numbers in it, the caller hands them over by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from restore.models.shape import Shape, rotations

Array = npt.NDArray[Any]
Linear = Callable[["Builder", str, str, Array], str]
"""(builder, input, name, weight [outputs, inputs]) to the name of the product."""

MICROSOFT = "com.microsoft"
OPSET, IR_VERSION = 21, 10
_SMALL = 64  # bytes up to which a constant stands in the graph itself


class Builder:
    """Collects the operators and constants of a graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {}

    def op(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """Add an operator; return the name of its output, or a list of names if there are several."""
        names = [f"{kind}_{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, name: str, value: Array) -> str:
        """Add a constant, or use the one of that name; return its name."""
        self.constants.setdefault(name, np.ascontiguousarray(value))
        return name

    def integers(self, *values: int) -> str:
        """Add a constant list of integers; return its name."""
        return self.constant("int_" + "_".join(map(str, values)), np.array(values, np.int64))


def float_linear(builder: Builder, x: str, name: str, weight: Array) -> str:
    """Multiply in float32."""
    return str(builder.op("MatMul", x, builder.constant(name, weight.T)))


def build(shape: Shape, weights: Mapping[str, Array], linear: Linear = float_linear) -> tuple[bytes, dict[str, Array]]:
    """Build the graph of a model.

    Args:
        shape: the model's dimensions.
        weights: for each layer l, `l.qkv` (queries, keys and values in one), `l.out`, `l.up` (gate and up in one)
            and `l.down`, each [outputs, inputs]; `l.norm1` and `l.norm2` [width]; `norm` [width] and `head`
            [vocabulary, width]. May have `spread` [b, b], which multiplies each b inputs of `l.down`, and `turn`
            [width, width], which multiplies the inputs of `head`.
        linear: how to multiply by a weight.

    Returns:
        The ONNX file, and its constants by name.
    """
    builder = Builder()
    x, added = "x", ""
    new: list[str] = []
    mask = builder.op("Concat", "past_mask", "new_mask", axis=3)
    sizes = builder.op(
        "Concat", builder.op("Shape", "past_mask", start=3), builder.op("Shape", "new_mask", start=3), axis=0
    )
    for name, table in zip(("cos", "sin"), rotations(shape), strict=True):
        builder.constant(name, table)
    for layer in range(shape.layers):
        part = f"{layer}."
        y, x = _norm(builder, x, added, weights[part + "norm1"], part + "norm1", shape.epsilon)
        qkv = linear(builder, y, part + "qkv", weights[part + "qkv"])
        attended, keys, values = _attention(builder, shape, layer, qkv, mask, sizes)
        new += [keys, values]
        added = linear(builder, attended, part + "out", weights[part + "out"])
        y, x = _norm(builder, x, added, weights[part + "norm2"], part + "norm2", shape.epsilon)
        both = linear(builder, y, part + "up", weights[part + "up"])
        gate, up = builder.op("Split", both, outputs=2, axis=1, num_outputs=2)
        inner = builder.op("Mul", builder.op("QuickGelu", gate, domain=MICROSOFT, alpha=1.0), up)
        if "spread" in weights:
            inner = _spread(builder, shape, inner, weights["spread"])
        added = linear(builder, inner, part + "down", weights[part + "down"])
    x = builder.op("Gather", builder.op("Add", x, added), "head")
    x, _ = _norm(builder, x, "", weights["norm"], "norm", shape.epsilon)
    if "turn" in weights:
        x = float_linear(builder, x, "turn", weights["turn"])
    logits = linear(builder, x, "head_weight", weights["head"])
    builder.nodes.append(helper.make_node("LogSoftmax", [logits], ["logprobs"], axis=1))
    builder.nodes.append(helper.make_node("Concat", new, ["new"], axis=1))
    return _serialise(builder, shape), builder.constants


def _norm(builder: Builder, x: str, added: str, weight: Array, name: str, epsilon: float) -> tuple[str, str]:
    """Return the norm of x + added, and x + added itself."""
    scale = builder.constant(name, weight)
    if not added:
        return builder.op("SimplifiedLayerNormalization", x, scale, axis=-1, epsilon=epsilon, stash_type=1), x
    number = len(builder.nodes)
    normed, total = f"norm_{number}", f"sum_{number}"
    names = ([x, added, scale], [normed, "", "", total])
    node = helper.make_node("SkipSimplifiedLayerNormalization", *names, domain=MICROSOFT, epsilon=epsilon)
    builder.nodes.append(node)
    return normed, total


def _attention(builder: Builder, shape: Shape, layer: int, qkv: str, mask: str, sizes: str) -> tuple[str, str, str]:
    """Return what the pieces attend to, [n, heads * w], and their keys and values, each [d, g, r, w]."""
    heads, groups, width = shape.heads, shape.groups, shape.head_width
    lanes = builder.op("Gather", qkv, "rows")  # [d, r, (heads + 2g) * w]
    lanes = builder.op("Reshape", lanes, builder.integers(0, 0, heads + 2 * groups, width))
    lanes = builder.op("Transpose", lanes, perm=[0, 2, 1, 3])  # [d, heads + 2g, r, w]
    turned, values = builder.op("Split", lanes, builder.integers(heads + groups, groups), outputs=2, axis=1)
    turned = builder.op("RotaryEmbedding", turned, "positions", "cos", "sin", domain=MICROSOFT)
    queries, keys = builder.op("Split", turned, builder.integers(heads, groups), outputs=2, axis=1)
    queries = builder.op("Reshape", queries, builder.integers(0, groups, -1, width))  # [d, g, j*r, w]
    scale = width**-0.5
    old = builder.op("FusedMatMul", queries, f"k{layer}", domain=MICROSOFT, transB=1, alpha=scale)  # [d, g, j*r, c]
    own = builder.op("FusedMatMul", queries, keys, domain=MICROSOFT, transB=1, alpha=scale)  # [d, g, j*r, r]
    shares = builder.op("Softmax", builder.op("Add", builder.op("Concat", old, own, axis=3), mask), axis=3)
    old, own = builder.op("Split", shares, sizes, outputs=2, axis=3)
    seen = builder.op("Add", builder.op("MatMul", old, f"v{layer}"), builder.op("MatMul", own, values))
    seen = builder.op("Reshape", seen, builder.integers(0, heads, -1, width))
    seen = builder.op("Transpose", seen, perm=[0, 2, 1, 3])  # [d, r, heads, w]
    seen = builder.op("Reshape", seen, builder.integers(-1, heads * width))
    return builder.op("Gather", seen, "back"), keys, values


def _spread(builder: Builder, shape: Shape, inner: str, block: Array) -> str:
    """Multiply each block of the inner activations, so that no single one stands out and sets the scale of its row."""
    blocks = builder.op("Reshape", inner, builder.integers(-1, len(block)))
    spread = builder.op("MatMul", blocks, builder.constant("spread", block))
    return str(builder.op("Reshape", spread, builder.integers(-1, shape.inner)))


def _serialise(builder: Builder, shape: Shape) -> bytes:
    floats, integers = TensorProto.FLOAT, TensorProto.INT64

    def value(name: str, kind: int, *dimensions: str | int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, dimensions)

    inputs = [
        value("x", floats, "n", shape.width),
        value("positions", integers, "d", "r"),
        value("rows", integers, "d", "r"),
        value("back", integers, "n"),
        value("head", integers, "m"),
        value("past_mask", floats, "d", 1, "q", "c"),
        value("new_mask", floats, "d", 1, "q", "r"),
    ]
    for layer in range(shape.layers):
        inputs += [value(f"{name}{layer}", floats, "d", shape.groups, "c", shape.head_width) for name in "kv"]
    new = value("new", floats, "d", "all", "r", shape.head_width)
    outputs = [value("logprobs", floats, "m", shape.vocabulary), new]
    graph = helper.make_graph(builder.nodes, "restore", inputs, outputs, declared(builder))
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="restore")
    return bytes(made.SerializeToString(deterministic=True))


def declared(builder: Builder) -> Sequence[TensorProto]:
    """Declare the constants: small ones with their values, the others as external; move them out of the dict if small."""
    declared = []
    for name, array in list(builder.constants.items()):
        tensor = TensorProto()
        tensor.name = name
        tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor.dims.extend(array.shape)
        if array.nbytes <= _SMALL:
            tensor.raw_data = array.tobytes()
            del builder.constants[name]
        else:
            tensor.data_location = TensorProto.EXTERNAL
            for key, text in (("location", "given"), ("offset", "0"), ("length", str(array.nbytes))):
                entry = tensor.external_data.add()
                entry.key, entry.value = key, text
        declared.append(tensor)
    return declared
