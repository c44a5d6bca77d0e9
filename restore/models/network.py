"""The network: an ONNX graph with its weights in ONNX Runtime, and the packed form of the weights.

What the graph takes and gives is documented in `restore.training.graph`. Weights are int8 with a scale for each output,
activations are rounded to int8 with a scale for each row, so what one text gets never depends on what shares its batch.

Weights are stored as zlib streams of their integers: nothing but Huffman codes, as the integers of a row are
distributed like a bell and independent of each other. That saves a tenth to a quarter of a byte each.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from isal import isal_zlib

from restore.cores import usable_cores
from restore.models.batch import Batch, Floats
from restore.models.shape import Shape, rotations

Array = npt.NDArray[Any]

SPIN_MICROSECONDS = "50"
"""How long an idle thread waits awake: by default so long that it takes the core from whoever else could work."""

HEAD_WEIGHT, EMBEDDING = "head_weight", "embedding"
SCALE = "_scale"
"""What is added to the name of a weight for the name of its scales."""


def available_threads() -> int:
    """Return how many threads a model may use: the cores that this process may, and no more than OMP_NUM_THREADS."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    cores = usable_cores()
    return max(1, min(cores, int(asked))) if asked.isascii() and asked.isdigit() else cores


def pack(weight: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
    """Pack the integers of a weight."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_HUFFMAN_ONLY)
    return np.frombuffer(packer.compress(weight.tobytes()) + packer.flush(), np.uint8)


def inflate(name: str, packed: Array, most: int) -> bytes:
    """Return the integers that `pack` packed.

    Args:
        name: what the weight is called where something is wrong with it.
        packed: what `pack` made.
        most: how many integers it may have.

    Raises:
        ValueError: it is damaged, or has more.
    """
    unpacker = isal_zlib.decompressobj(-15)  # twice as fast as zlib, and a start waits for it
    try:
        data = unpacker.decompress(packed.data, most + 1)
    except isal_zlib.error as error:  # type: ignore[misc]  # its stub takes the class for an instance
        raise ValueError(f"weight {name!r} cannot be unpacked ({error})") from error
    if len(data) > most or not unpacker.eof:
        raise ValueError(f"weight {name!r} has not the numbers of its shape")
    return data


def unpack(arrays: Mapping[str, Array], shape: Shape, threads: int) -> dict[str, Array]:
    """Return the constants of the graph from what a bundle stores.

    Args:
        arrays: for each weight its packed integers, and its scales under its name with `SCALE`; others as they are.
        shape: the model's dimensions, from which the size of each weight follows.
        threads: how many weights to unpack at a time.

    Raises:
        ValueError: an array has not the size that it must have.
    """
    inputs = {"out": shape.heads * shape.head_width, "down": shape.inner}
    constants: dict[str, Array] = dict(zip(("cos", "sin"), rotations(shape), strict=True))
    packed: list[tuple[str, Array, tuple[int, int]]] = []
    for name, array in arrays.items():
        scales = arrays.get(name + SCALE)
        if scales is None:
            constants[name] = np.array(array)  # a copy: a view would keep the whole mapped file in memory
        else:
            packed.append((name, array, (inputs.get(name.rpartition(".")[2], shape.width), scales.size)))
    with ThreadPoolExecutor(threads) as executor:
        constants.update(executor.map(_unpacked, packed))
    return constants


def _unpacked(packed: tuple[str, Array, tuple[int, int]]) -> tuple[str, Array]:
    name, array, shape = packed
    size = shape[0] * shape[1]
    data = inflate(name, array, size)
    if len(data) != size:
        raise ValueError(f"weight {name!r} has not the {size} numbers of its shape")
    return name, np.frombuffer(data, np.int8).reshape(shape)


def open_session(
    graph: bytes, constants: Mapping[str, Array], threads: int, arena: bool = True
) -> tuple[onnxruntime.InferenceSession, dict[str, Any]]:
    """Open a graph in ONNX Runtime; return the session, and what must live as long as it: it reads the arrays where they are.

    Args:
        graph: the ONNX file.
        constants: the values of its constants, by name.
        threads: how many cores to use.
        arena: whether to keep the memory that a run needed for the next.

    Raises:
        ValueError: the graph cannot be run, or a constant is missing or has another shape or type.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.enable_mem_pattern = False  # patterns are kept for every shape that comes, and shapes never end
    options.enable_cpu_mem_arena = arena
    options.add_session_config_entry("session.intra_op.spin_duration_us", SPIN_MICROSECONDS)
    held = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in constants.items()}
    options.add_external_initializers(list(held), list(held.values()))
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"]), held
    except Exception as error:  # the runtime's own exceptions have no common base but this
        raise ValueError(f"ONNX Runtime cannot use it ({error})") from error


class Network:
    """A graph that can be run. Safe to use from several threads.

    Args:
        graph: the ONNX file.
        constants: the values of its constants, by name.
        threads: how many cores to use.

    Raises:
        ValueError: the graph cannot be run, or a constant is missing or has another shape or type.
    """

    def __init__(self, graph: bytes, constants: Mapping[str, Array], threads: int) -> None:
        self._session, self._held = open_session(graph, constants, threads)
        self._past = [value.name for value in self._session.get_inputs()][7:]

    def run(self, x: Floats, batch: Batch, past: Floats) -> tuple[Floats, Floats]:
        """Feed pieces; return (log-probabilities, new keys and values).

        Args:
            x: the embedded pieces, [n, width].
            batch: the other arrays of the run.
            past: the pool's keys and values for the lanes at hand, [2 * layers, d, g, c, w]; each layer's contiguous.
        """
        logprobs, new = self.run_all(x, batch, past)
        return logprobs, new

    def run_all(self, x: Floats, batch: Batch, past: Floats) -> list[Floats]:
        """Feed pieces; return all outputs of the graph."""
        feeds = {
            "x": x, "positions": batch.positions, "rows": batch.rows, "back": batch.back, "head": batch.head,
            "past_mask": batch.past_mask, "new_mask": batch.new_mask, **dict(zip(self._past, past, strict=True)),
        }  # fmt: skip
        return self._session.run(None, feeds)  # type: ignore[no-any-return]
