"""The ONNX graph of the tagger: a BERT with a layer for gaps and one for tokens, built operator by operator.

Inputs, with a row of n pieces and m gaps, each before a token:

    x       [n, width] float32  the vectors of the row's pieces
    order   [n] int64           0 to n - 1
    before  [m] int64           the place of the last piece before each gap
    after   [m] int64           the place of the first piece after it, which begins its token

Outputs, in the order that `restore.tags.Tags` has them: marks_tags, first_tags, ...
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto, helper

from restore.training.graph import IR_VERSION, MICROSOFT, OPSET, Array, Builder, declared

HEADS = 12
EPSILON = 1e-12
GAP_TAGS, TOKEN_TAGS = ("marks", "first", "last", "held"), ("edits", "cases")


def build_tagger(weights: Mapping[str, Array], layers: int) -> tuple[bytes, dict[str, Array]]:
    """Build the graph.

    Args:
        weights: `places` [places, width], `norm` and `norm.bias` [width]; for each layer l `l.qkv`, `l.out`, `l.up`, `l.down`
            [inputs, outputs], `l.norm1` and `l.norm2`; `gap` and `token`; and one for each output. All but the first have a
            bias, of the same name with `.bias`.
        layers: how many layers there are.

    Returns:
        The ONNX file, and its constants by name.
    """
    builder = Builder()

    def constant(name: str) -> str:
        return builder.constant(name, weights[name].astype(np.float32))

    def linear(x: str, name: str) -> str:
        return str(builder.op("Add", builder.op("MatMul", x, constant(name)), constant(name + ".bias")))

    def gelu(x: str) -> str:
        return str(builder.op("Gelu", x, domain=MICROSOFT))

    def norm(x: str, name: str) -> str:
        return str(builder.op("LayerNormalization", x, constant(name), constant(name + ".bias"), axis=-1, epsilon=EPSILON))

    width = weights["norm"].size
    x = norm(builder.op("Add", "x", builder.op("Gather", constant("places"), "order")), "norm")
    for layer in range(layers):
        part = f"{layer}."
        added = linear(_attention(builder, linear(x, part + "qkv"), width), part + "out")
        x = norm(builder.op("Add", x, added), part + "norm1")
        added = linear(gelu(linear(x, part + "up")), part + "down")
        x = norm(builder.op("Add", x, added), part + "norm2")
    after = builder.op("Gather", x, "after")
    gap = gelu(linear(builder.op("Concat", builder.op("Gather", x, "before"), after, axis=1), "gap"))
    token = gelu(linear(after, "token"))
    outputs = []
    for tags, source in ((GAP_TAGS, gap), (TOKEN_TAGS, token)):
        for name in tags:
            logits = linear(source, name)
            if name == "held":
                builder.nodes.append(helper.make_node("Identity", [logits], [f"{name}_tags"]))
            else:
                builder.nodes.append(helper.make_node("LogSoftmax", [logits], [f"{name}_tags"], axis=1))
            outputs.append(helper.make_tensor_value_info(f"{name}_tags", TensorProto.FLOAT, ["m", weights[name].shape[1]]))
    integers = TensorProto.INT64
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", width])]
    inputs += [helper.make_tensor_value_info("order", integers, ["n"])]
    inputs += [helper.make_tensor_value_info(name, integers, ["m"]) for name in ("before", "after")]
    graph = helper.make_graph(builder.nodes, "restore-tagger", inputs, outputs, declared(builder))
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="restore")
    return bytes(made.SerializeToString(deterministic=True)), builder.constants


def _attention(builder: Builder, qkv: str, width: int) -> str:
    """Return what each piece attends to, [n, width], of queries, keys and values in one."""
    size = width // HEADS
    parts = builder.op("Transpose", builder.op("Reshape", qkv, builder.integers(-1, 3 * HEADS, size)), perm=[1, 0, 2])
    queries, keys, values = builder.op("Split", parts, outputs=3, axis=0, num_outputs=3)
    scores = builder.op("FusedMatMul", queries, keys, domain=MICROSOFT, transB=1, alpha=size**-0.5)
    seen = builder.op("MatMul", builder.op("Softmax", scores, axis=2), values)  # [heads, n, size]
    return str(builder.op("Reshape", builder.op("Transpose", seen, perm=[1, 0, 2]), builder.integers(-1, width)))
