"""Measure the runtimes and precisions that the neural model could use: speed, peak memory, and loss against float.

    python benchmarks/neural_runtime.py CHECKPOINT BUNDLE --news ../shared/corpus/dev/news.txt

CHECKPOINT is what `restore train neural` wrote, BUNDLE what `restore.training.export` made of it. Every candidate runs in
a process of its own and all take turns, round after round, so that they see the same load; the best of all rounds counts.
Rates are pieces a second of wall time and, as other work may share the cores, of processor time. A batch of 16 is four
texts with four hypotheses each, after 300 pieces of context; one of 64, sixteen such texts.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from restore.models.batch import Feed, batch_of
from restore.models.network import Network, available_threads
from restore.models.neural import SEPARATOR, TOKENIZER, Embedding, NeuralModel, prompt_of, special
from restore.models.pool import NONE_SEEN
from restore.models.shape import Shape
from restore.training.export import read_checkpoint, sequence
from restore.training.graph import MICROSOFT, Builder, build, float_linear
from restore.training.pairs import held_out_windows

BATCHES = {"1": (1, 1), "4": (1, 4), "16": (4, 4), "64": (16, 4)}
"""Lanes, and hypotheses in each."""
CONTEXT = 300
WINDOWS = 20
SHIPPED = "int8, a scale a row (shipped)"


def block_linear(bits: int, size: int) -> Callable[[Builder, str, str, np.ndarray], str]:
    """Multiply by weights in blocks with a scale each, rounded plainly: ONNX Runtime's MatMulNBits, int8 inside."""

    def linear(builder: Builder, x: str, name: str, weight: np.ndarray) -> str:
        outputs, inputs = weight.shape
        half = 1 << (bits - 1)
        blocks = weight.reshape(outputs, inputs // size, size)
        scales = np.maximum(np.abs(blocks).max(-1), 1e-12) / (half - 1)
        integers = (np.clip(np.rint(blocks / scales[..., None]), -half, half - 1) + half).astype(np.uint8)
        if bits == 4:
            integers = integers[..., 0::2] | (integers[..., 1::2] << 4)
        sizes = {"K": inputs, "N": outputs, "bits": bits, "block_size": size, "accuracy_level": 4}
        constants = builder.constant(name, integers), builder.constant(name + "_scales", scales.astype(np.float32))
        return str(builder.op("MatMulNBits", x, *constants, domain=MICROSOFT, **sizes))

    return linear


CANDIDATES: dict[str, Any] = {
    "float32": float_linear,
    "int4 in blocks of 32": block_linear(4, 32),
    "int8 in blocks of 32": block_linear(8, 32),
    SHIPPED: None,
}


def prepare(checkpoint: Path, folder: Path) -> None:
    """Write the graph and constants of every candidate but the shipped one."""
    shape, weights = read_checkpoint(checkpoint)
    np.save(folder / "embedding.npy", weights["head"])
    for number, linear in enumerate(CANDIDATES.values()):
        if linear is not None:
            graph, constants = build(shape, weights, linear)
            (folder / f"{number}.onnx").write_bytes(graph)
            np.savez(folder / f"{number}.npz", **constants)


def load(number: int, folder: Path, checkpoint: Path, bundle: Path, threads: int) -> NeuralModel:
    if list(CANDIDATES)[number] == SHIPPED:
        return NeuralModel.open(bundle, threads)
    config = json.loads((bundle / "card.json").read_text(encoding="utf-8"))
    with np.load(folder / f"{number}.npz") as arrays:
        network = Network((folder / f"{number}.onnx").read_bytes(), dict(arrays), threads)
    embedding = Embedding({"head_weight": np.load(folder / "embedding.npy").T})
    tokenizer = Tokenizer.from_file(str(checkpoint / TOKENIZER))
    return NeuralModel(network, embedding, Shape.from_dict(config["shape"]), tokenizer)


def worker(pipe: Connection, number: int, *where: Any) -> None:
    """Answer requests: a batch's name gives its best times, a window's pieces their log-probabilities."""
    start = time.perf_counter()
    model = load(number, *where)
    pipe.send(time.perf_counter() - start)
    shape = model._shape
    repeats = shape.heads // shape.groups
    prepared: dict[str, Any] = {}
    while (asked := pipe.recv()) is not None:
        if isinstance(asked, str):
            if asked not in prepared:
                lanes, rows = BATCHES[asked]
                seen = np.arange(CONTEXT, dtype=np.int32)
                feeds = [
                    Feed(lane, (100 + lane + row,), CONTEXT, 0, seen) for lane in range(lanes) for row in range(rows)
                ]
                past = (2 * shape.layers, lanes, shape.groups, CONTEXT, shape.head_width)
                data = np.random.default_rng(0).standard_normal(past, np.float32)
                prepared[asked] = batch_of(feeds, lanes, CONTEXT, repeats, shape.positions), data
            wall, spent = time.perf_counter(), time.process_time()
            model._run(*prepared[asked])
            pipe.send((time.perf_counter() - wall, time.process_time() - spent))
        else:
            pieces, wanted, source = asked
            feed = Feed(0, tuple(pieces[:-1]), 0, 0, NONE_SEEN, wanted, source)
            nothing = np.zeros((2 * shape.layers, 1, shape.groups, 1, shape.head_width), np.float32)
            pipe.send(model._run(batch_of([feed], 1, 1, repeats, shape.positions), nothing)[0])
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def divergence(pipes: Sequence[Connection], texts: Sequence[tuple[list[int], int]]) -> list[dict[str, float]]:
    """Return, for each candidate, the loss, and how far it is from the first candidate's."""
    totals = np.zeros((len(pipes), 3))
    pieces = 0
    for text, wanted in texts:
        for pipe in pipes:
            pipe.send((text, wanted))
        answers = [pipe.recv().astype(np.float64) for pipe in pipes]
        targets = np.array(text[wanted + 1 :])
        pieces += len(targets)
        for number, found in enumerate(answers):
            totals[number, 0] -= found[np.arange(len(targets)), targets].sum()
            totals[number, 1] += (np.exp(answers[0]) * (answers[0] - found)).sum()
            totals[number, 2] += (answers[0].argmax(1) == found.argmax(1)).sum()
    return [
        {
            "loss": loss / pieces,
            "more": (loss - totals[0, 0]) / pieces,
            "divergence": far / pieces,
            "same best": same / pieces,
        }
        for loss, far, same in totals
    ]


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    preparing = context.Process(target=prepare, args=(args.checkpoint, folder))
    preparing.start()
    preparing.join()
    pipes, processes = [], []
    for number in range(len(CANDIDATES)):
        here, there = context.Pipe()
        where = (there, number, folder, args.checkpoint, args.bundle, args.threads)
        processes.append(context.Process(target=worker, args=where))
        processes[-1].start()
        pipes.append(here)
    results: list[dict[str, Any]] = [{"seconds to load": pipe.recv()} for pipe in pipes]
    if args.news:
        tokenizer = Tokenizer.from_file(str(args.checkpoint / TOKENIZER))
        texts = []
        for window in held_out_windows(args.news, WINDOWS):
            prompt = prompt_of(tokenizer, window.source.split(" "), window.prefix)
            texts.append((sequence(tokenizer, window), len(prompt) - 1, prompt.index(special(tokenizer, SEPARATOR))))
        for result, found in zip(results, divergence(pipes, texts), strict=True):
            result.update(found)
    times: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for _ in range(args.rounds):
        for name in BATCHES:
            for number, pipe in enumerate(pipes):  # one after the other: they share the cores
                pipe.send(name)
                times.setdefault((number, name), []).append(pipe.recv())
    for number, pipe in enumerate(pipes):
        for name, (lanes, rows) in BATCHES.items():
            wall, spent = (min(found) for found in zip(*times[number, name], strict=True))
            results[number][f"pieces a second at {name}"] = lanes * rows / wall
            results[number][f"pieces a processor second at {name}"] = lanes * rows / spent
        pipe.send(None)
        results[number]["peak MiB"] = pipe.recv()
        processes[number].join()
    return dict(zip(CANDIDATES, results, strict=True))


def matrices(rounds: int) -> dict[str, Any]:
    """Return what ONNX Runtime and OpenVINO make of the model's largest matrices alone, in GMAC a processor second."""
    try:
        import openvino
        from openvino import opset13
    except ImportError:
        return {}
    chance = np.random.default_rng(0)
    weights = [(chance.standard_normal(size) * 0.02).astype(np.float32) for size in ((3072, 576), (576, 3072)) * 4]
    runs: dict[str, Callable[[np.ndarray], Any]] = {}
    for kind in ("float32", "int8 weights"):
        x = y = opset13.parameter([-1, 576], openvino.Type.f32)
        for weight in weights:
            constant = opset13.constant(weight)
            if kind != "float32":
                scales = np.abs(weight).max(1, keepdims=True) / 127
                integers = opset13.constant(np.rint(weight / scales).astype(np.int8))
                constant = opset13.multiply(opset13.convert(integers, openvino.Type.f32), opset13.constant(scales))
            y = opset13.matmul(y, constant, False, True)
        options = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
        compiled = openvino.Core().compile_model(openvino.Model([y], [x]), "CPU", options).create_infer_request()
        runs["OpenVINO, " + kind] = lambda x, compiled=compiled: compiled.infer({0: x})
    from restore.training.quantise import Rounded, int8_linear, rounded

    made: dict[str, Rounded] = {str(number): rounded(weight) for number, weight in enumerate(weights)}
    for kind, linear in {**CANDIDATES, SHIPPED: int8_linear(made)}.items():
        runs["ONNX Runtime, " + kind] = _chain(weights, linear)
    best: dict[tuple[str, str], float] = {}
    for _ in range(rounds):
        for name, (lanes, rows) in BATCHES.items():
            x = chance.standard_normal((lanes * rows, 576)).astype(np.float32)
            for kind, run in runs.items():
                start = time.process_time()
                for _ in range(1 + 16 // len(x)):
                    run(x)
                spent = (time.process_time() - start) / (1 + 16 // len(x))
                best[kind, name] = min(spent, best.get((kind, name), spent))
    size = sum(weight.size for weight in weights)
    return {
        kind: {name: size * lanes * rows / best[kind, name] / 1e9 for name, (lanes, rows) in BATCHES.items()}
        for kind in runs
    }


def _chain(weights: Sequence[np.ndarray], linear: Any) -> Callable[[np.ndarray], Any]:
    """Return a session that multiplies by one weight after the other."""
    from onnx import TensorProto, helper, numpy_helper

    builder = Builder()
    y = "x"
    for number, weight in enumerate(weights):
        y = linear(builder, y, str(number), weight)
    inputs, outputs = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 576]) for name in ("x", y))
    constants = [numpy_helper.from_array(array, name) for name, array in builder.constants.items()]
    graph = helper.make_graph(builder.nodes, "chain", [inputs], [outputs], constants)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--news", type=Path, help="dev news, for the loss")
    parser.add_argument("--threads", type=int, default=available_threads())
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("-o", "--out", type=Path, default=Path(__file__).parent / "results" / "neural_runtime.json")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        networks = measure(args, Path(folder))
    # What else ran: with more than nothing at the start, or more than `threads` at the end, trust processor seconds alone.
    loads = {"load before": load, "load after": os.getloadavg()[0]}
    machine = {**loads, "processor": processor(), "threads": args.threads, "onnxruntime": onnxruntime.__version__}
    report = {
        "machine": machine,
        "context": CONTEXT,
        "networks": networks,
        "matrices, GMAC a second": matrices(args.rounds),
    }
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps(rounded_numbers(report), indent=2) + "\n", encoding="utf-8")
    json.dump(rounded_numbers(report), sys.stdout, indent=2)
    print()


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        flags = next(line for line in lines if line.startswith("flags")).split()
        name = next(line for line in lines if line.startswith("model name")).partition(": ")[2]
    except (OSError, StopIteration):
        return platform.processor()
    return " ".join(
        [name, *(flag for flag in ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8") if flag in flags)]
    )


def rounded_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded_numbers(one) for key, one in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
