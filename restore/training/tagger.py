"""Train the tagger: an encoder that reads stripped text and says of each gap what it held (`restore.tags`).

A BERT, such as MiniLM (Wang et al. 2020), with a layer for gaps, which reads the last piece before each and the first after
it, and one for tokens. Rows are cut from documents anywhere, so that it learns to do without what is beyond a row's ends.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import onnx
import onnx.numpy_helper
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from restore.bundle import CARD, open_bundle
from restore.channel import Token, get_channel
from restore.errors import RestoreError
from restore.models.tagger import FORMAT, GRAPH, MOST_PIECES, TOKENIZER, VERSION, WEIGHTS, ends_of, floats
from restore.tags import NO_WORD, OTHER_EDIT, OTHER_WORD, Case, Mark, case_of, edit_of, mark_of_gap, words_of_gap
from restore.tensors import map_tensors
from restore.training.checkpoint import Progress, load_state, save_state, truncate_log, write_log
from restore.training.documents import read_documents
from restore.training.graph import Array
from restore.training.pairs import SOURCE_WEIGHTS, WindowSource, read_sources
from restore.training.tagger_export import export
from restore.training.tagger_graph import EPSILON, HEADS

CHANNEL_SHARES: Mapping[str, float] = {
    "nltk": 0.62, "transcript": 0.2, "stemmed": 0.05, "spacy": 0.05, "sklearn": 0.04, "lower": 0.04,
}  # fmt: skip
ROW, ROWS = 160, 24
"""Pieces of a row, and rows of a step."""
WORDS, EDITS, COUNTED = 200, 100, 4000
"""Words and edits that have tags of their own, and documents that they are counted in."""
IGNORED = -100
LOSS_WEIGHTS = {"marks": 1.5, "first": 1.0, "last": 0.7, "held": 0.5, "edits": 0.7, "cases": 0.7}
FINAL_RATE, CLIP, BETAS, WEIGHT_DECAY, WARM_UP = 0.05, 1.0, (0.9, 0.98), 0.01, 100
SAVE_SECONDS, MEASURE_STEPS, AVERAGE = 300.0, 200, 0.995
HELD_OUT = 80
"""Documents that are measured on, at most."""

ABOUT = "An encoder that reads stripped English and says what each gap held, and how each token was spelt."

TAGS = "tags.json"
"""The words and edits that a run has tags for."""

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


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows and their tags.

    Attributes:
        pieces: [rows, length], 0 beyond a row's end.
        before, after: [gaps] the places of the pieces on both sides of each gap, in all rows.
        heads: [tokens] those of each token's first piece.
        tags: by the names of outputs; `held` is [gaps, words] of 0 and 1.
    """

    pieces: Tensor
    before: Tensor
    after: Tensor
    heads: Tensor
    tags: Weights


@dataclass
class Row:
    """One row of pieces with its tags, in lists."""

    pieces: list[int]
    heads: list[int] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    words: list[list[int]] = field(default_factory=list)
    edits: list[int] = field(default_factory=list)
    cases: list[int] = field(default_factory=list)


class RowMaker:
    """Makes rows of documents.

    Args:
        tokenizer: makes pieces.
        words, edits: the names of the tags.
    """

    def __init__(self, tokenizer: Tokenizer, words: Sequence[str], edits: Sequence[str]) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self.words = {word: number for number, word in enumerate(words)}
        self.edits = {edit: number for number, edit in enumerate(edits)}
        self._tokenizer = tokenizer
        self._begin, self._end = ends_of(tokenizer)
        self._pieces = lru_cache(maxsize=1 << 17)(self._encoded)

    def _encoded(self, token: str) -> list[int]:
        return self._tokenizer.encode(token, add_special_tokens=False).ids[:MOST_PIECES] or [self._end]

    def row(self, text: str, tokens: Sequence[Token], start: int) -> Row:
        """Make the row of as many tokens of a document as it has room for."""
        row, tails, end = Row([self._begin]), list[int](), start
        while end < len(tokens):
            pieces = self._pieces(tokens[end].text.lower())
            if len(row.pieces) + len(pieces) >= ROW:
                break
            row.heads.append(len(row.pieces))
            row.pieces.extend(pieces)
            tails.append(len(row.pieces) - 1)
            end += 1
        row.pieces.append(self._end)
        for place in range(start, end + 1):
            # What is beyond the row's ends is not seen: such gaps are left out, but at the ends of the text.
            if (place == start and start) or (place == end and end < len(tokens)):
                continue
            gap = text[tokens[place - 1].end if place else 0 : tokens[place].start if place < len(tokens) else None]
            words = [self.words.get(word, self.words[OTHER_WORD]) for word in words_of_gap(gap)]
            row.before.append(tails[place - start - 1] if place > start else 0)
            row.after.append(row.heads[place - start] if place < end else len(row.pieces) - 1)
            row.marks.append(int(mark_of_gap(gap)) if place and place < len(tokens) else IGNORED)
            row.words.append(words)
        for place in range(start, end):
            token = tokens[place]
            surface = text[token.start : token.end]
            edit = edit_of(token.text.lower(), surface)
            row.edits.append(self.edits.get(edit, self.edits[OTHER_EDIT]))
            case = case_of(surface)
            begun = place == 0 or _begins(text[tokens[place - 1].end : token.start])
            row.cases.append(IGNORED if case is None or begun else int(case))
        return row

    def batch(self, rows: Sequence[Row]) -> Batch:
        """Put rows into one batch."""
        pieces = torch.zeros(len(rows), ROW, dtype=torch.long)
        for number, row in enumerate(rows):
            pieces[number, : len(row.pieces)] = torch.tensor(row.pieces)

        def places(name: str) -> Tensor:
            return torch.tensor([place + number * ROW for number, row in enumerate(rows) for place in getattr(row, name)])

        words = [found for row in rows for found in row.words]
        held = torch.zeros(len(words), len(self.words))
        for number, found in enumerate(words):
            held[number, found] = 1.0
        none = self.words[NO_WORD]
        tags = {name: torch.tensor([tag for row in rows for tag in getattr(row, name)]) for name in ("marks", "edits", "cases")}
        tags["first"] = torch.tensor([found[0] if found else none for found in words])
        tags["last"] = torch.tensor([found[-1] if found else none for found in words])
        tags["held"] = held
        return Batch(pieces, places("before"), places("after"), places("heads"), tags)


def _begins(gap: str) -> bool:
    """Tell whether the token after a gap begins a sentence."""
    return mark_of_gap(gap) in (Mark.END, Mark.BREAK) and not words_of_gap(gap.rpartition(".")[2])


def losses(network: Network, batch: Batch) -> Weights:
    """Return the summed loss of each output, in nats."""
    found = network(batch)
    made = {
        name: functional.cross_entropy(found[name], batch.tags[name], ignore_index=IGNORED, reduction="sum")
        for name in ("marks", "first", "last", "edits", "cases")
    }
    made["held"] = functional.binary_cross_entropy_with_logits(found["held"], batch.tags["held"], reduction="sum")
    return made


def name_tags(source: WindowSource, seed: int) -> tuple[list[str], list[str]]:
    """Return the words and the edits that occur most."""
    words, edits = Counter[str](), Counter[str]()
    chance = random.Random(f"tags:{seed}")
    for _ in range(COUNTED):
        _, text, tokens = source.document(chance)
        start = chance.randint(0, max(0, len(tokens) - 120))
        for place in range(max(1, start), min(len(tokens), start + 120)):
            words.update(words_of_gap(text[tokens[place - 1].end : tokens[place].start]))
            edits[edit_of(tokens[place].text.lower(), text[tokens[place].start : tokens[place].end])] += 1
    words.pop(OTHER_WORD, None)
    edits.pop(OTHER_EDIT, None)
    return (
        [NO_WORD, OTHER_WORD, *(word for word, _ in words.most_common(WORDS))],
        [OTHER_EDIT, *(edit for edit, count in edits.most_common(EDITS) if count > 3)],
    )


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


def train(
    files: Sequence[Path],
    out: Path,
    *,
    base: Path,
    held_out: Path | None = None,
    minutes: float | None = None,
    gaps: int | None = None,
    seed: int = 0,
    learning_rate: float = 4e-4,
    channels: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    report: Callable[[str], None] = print,
) -> Path:
    """Train a tagger, and write it as a bundle. A stopped run goes on where it was.

    Args:
        files: corpus files, documents closed by a line %%%.
        out: the folder; what the run needs to go on is in `out/checkpoint`.
        base: a folder with a BERT in safetensors and its tokenizer, or a tagger.
        held_out: a corpus file whose odd-numbered documents are measured on.
        minutes: how long to train, stops not counted.
        gaps: on how many gaps to train; one of the two must be given, and only this one is repeatable.
        seed: what the rows depend on.
        learning_rate: the highest.
        channels: the channels that strip, and their shares.
        weights: how much oftener than its length each source is drawn from.
        report: called with lines to show.

    Raises:
        RestoreError: a file cannot be used, or neither `minutes` nor `gaps` is given.
    """
    if not (minutes or gaps):
        raise RestoreError("training: say how long: a number of minutes, or of gaps")
    folder = out / "checkpoint"
    folder.mkdir(parents=True, exist_ok=True)
    source = WindowSource(
        read_sources(files),
        channels=dict(channels or CHANNEL_SHARES),
        weights=dict(SOURCE_WEIGHTS if weights is None else weights),
        seed=seed,
    )
    torch.manual_seed(seed)
    known, tokenizer, words, edits = read_base(base)
    if (folder / TAGS).exists():
        words, edits = json.loads((folder / TAGS).read_text(encoding="utf-8"))
    elif not words:
        words, edits = name_tags(source, seed)
    (folder / TAGS).write_text(json.dumps([words, edits]), encoding="utf-8")
    maker = RowMaker(tokenizer, words, edits)
    outputs = {"marks": len(Mark), "cases": len(Case), "edits": len(edits)} | dict.fromkeys(("first", "last", "held"), len(words))
    run = Run(Network(known, outputs), maker, source, folder, seed, learning_rate, minutes, gaps, report)
    if held_out is not None:
        run.held_out = _held_out(maker, held_out)
    run.train()
    final = {name: run.network.weight(name).detach().numpy() for name in run.network.names}
    card = {
        "about": ABOUT,
        "command": "restore train tagger FILES -o OUT --base BASE",
        "data": sorted({path.name for path in files}),
        "base": base.name,
        "training": {
            "gaps": run.progress.targets,
            "steps": run.progress.step,
            "minutes": round(run.progress.seconds / 60),
            "seed": seed,
            "held_out": run.measured,
        },
    }
    export(final, run.network.layers, tokenizer, words, edits, out, card)
    return out


def _held_out(maker: RowMaker, path: Path) -> list[Batch]:
    rows = []
    for text in list(read_documents(path))[::2][:HELD_OUT]:
        tokens = get_channel("nltk").tokens(text)
        if tokens:
            rows += [maker.row(text, tokens, 0), maker.row(text, tokens, max(0, len(tokens) - 100))]
    return [maker.batch(rows[at : at + ROWS // 2]) for at in range(0, len(rows), ROWS // 2)]


@dataclass(eq=False)
class Run:
    """A run and its loop."""

    network: Network
    maker: RowMaker
    source: WindowSource
    folder: Path
    seed: int
    learning_rate: float
    minutes: float | None
    gaps: int | None
    say: Callable[[str], None]
    held_out: list[Batch] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)
    measured: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parameters: list[Tensor] = [value for value in self.network.parameters() if value.requires_grad]
        self.averaged = [value.detach().clone() for value in self.parameters]
        groups = [
            {"params": [p for p in self.parameters if p.dim() > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in self.parameters if p.dim() <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=BETAS, fused=True)
        self.workers = os.cpu_count() or 1

    @property
    def done(self) -> float:
        """The share of the run that is behind."""
        by_time = self.progress.seconds / (self.minutes * 60) if self.minutes else 0.0
        return min(1.0, max(by_time, self.progress.targets / self.gaps if self.gaps else 0.0))

    def batches(self, number: int) -> list[Batch]:
        """Make the batches of a step, one a worker."""
        shares = [range(at, ROWS, self.workers) for at in range(self.workers)]
        return [self.maker.batch([self.row(number * ROWS + at) for at in share]) for share in shares]

    def row(self, number: int) -> Row:
        """Make row `number`, which depends on the seed and it alone."""
        chance = random.Random(f"{self.seed}:{number}")
        while True:
            _, text, tokens = self.source.document(chance)
            if len(tokens) > 4:
                return self.maker.row(text, tokens, max(0, chance.randint(-60, max(0, len(tokens) - 60))))

    def train(self) -> None:
        """Train to the end of the run, saving and measuring on the way."""
        progress = self.progress
        if (self.folder / "state.safetensors").exists():
            progress = self.progress = load_state(self.folder, self.parameters, self.averaged, self.optimizer)
            truncate_log(self.folder, progress.step)
            self.say(f"going on after step {progress.step}")
        saved = progress.seconds
        with ThreadPoolExecutor(self.workers) as pool, ThreadPoolExecutor(1) as maker:
            coming = maker.submit(self.batches, progress.step)
            while self.done < 1:
                began = time.monotonic()
                batches = coming.result()
                coming = maker.submit(self.batches, progress.step + 1)
                gaps = sum(len(batch.before) for batch in batches)
                loss = self.step(pool, batches, gaps)
                if not all(map(math.isfinite, loss.values())):
                    raise RestoreError("training: the loss is no longer a number; lower the learning rate and resume")
                progress.step += 1
                progress.targets += gaps
                progress.tokens += sum(batch.pieces.numel() for batch in batches)
                progress.seconds += time.monotonic() - began
                write_log(self.folder, step=progress.step, gaps=progress.targets, seconds=round(progress.seconds, 1), **loss)
                if progress.step % 50 == 0:
                    self.say(f"step {progress.step}  {progress.targets / 1e6:.2f}M gaps  {_losses(loss)}  {self.done:.0%}")
                if progress.step % MEASURE_STEPS == 0:
                    self.say(f"step {progress.step}  held out: {_losses(self.measure())}")
                if progress.seconds - saved >= SAVE_SECONDS:
                    save_state(self.folder, self.parameters, self.averaged, self.optimizer, progress)
                    saved = progress.seconds
        save_state(self.folder, self.parameters, self.averaged, self.optimizer, progress)
        with torch.no_grad():
            for value, mean in zip(self.parameters, self.averaged, strict=True):
                value.copy_(mean)
        self.measured = self.measure()
        self.say(f"averaged weights  held out: {_losses(self.measured)}")

    def step(self, pool: ThreadPoolExecutor, batches: Sequence[Batch], gaps: int) -> dict[str, float]:
        """Make one step; return the mean losses before it."""

        def gradient(batch: Batch) -> tuple[dict[str, float], tuple[Tensor, ...]]:
            torch.set_num_threads(1)
            found = losses(self.network, batch)
            total = sum((LOSS_WEIGHTS[name] * loss for name, loss in found.items()), torch.zeros(()))
            parts = {name: float(loss.detach()) for name, loss in found.items()}
            return parts, torch.autograd.grad(total / gaps, self.parameters)

        sums: list[Tensor] = []
        parts: list[dict[str, float]] = []
        for part, gradients in pool.map(gradient, batches):
            parts.append(part)
            if sums:
                torch._foreach_add_(sums, list(gradients))
            else:
                sums = list(gradients)
        torch.set_num_threads(self.workers)
        for parameter, found in zip(self.parameters, sums, strict=True):
            parameter.grad = found
        torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
        warm = min(1.0, (self.progress.step + 1) / WARM_UP)
        cosine = (1 + math.cos(math.pi * self.done)) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * warm * (FINAL_RATE + (1 - FINAL_RATE) * cosine)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        keep = min(AVERAGE, (1 + self.progress.step) / (10 + self.progress.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.averaged, self.parameters, 1 - keep)
        return {name: round(sum(part[name] for part in parts) / gaps, 4) for name in parts[0]}

    def measure(self) -> dict[str, float]:
        """Return the mean losses of the held-out text, and the best F1 of commas and of sentence ends that a threshold gives."""
        if not self.held_out:
            return {}
        sums, marks, wanted = Counter[str](), list[Tensor](), list[Tensor]()
        with torch.no_grad():
            for batch in self.held_out:
                sums.update({name: float(loss) for name, loss in losses(self.network, batch).items()})
                marks.append(self.network(batch)["marks"].softmax(1))
                wanted.append(batch.tags["marks"])
        chances, tags = torch.cat(marks), torch.cat(wanted)
        total = sum(len(batch.before) for batch in self.held_out)
        made = {name: round(value / total, 4) for name, value in sums.items()}
        chances, tags = chances[tags != IGNORED], tags[tags != IGNORED]
        ends = chances[:, int(Mark.END)] + chances[:, int(Mark.BREAK)]
        made["end_f1"] = round(_best_f1(ends, (tags == int(Mark.END)) | (tags == int(Mark.BREAK))), 4)
        made["comma_f1"] = round(_best_f1(chances[:, int(Mark.COMMA)], tags == int(Mark.COMMA)), 4)
        return made


def _best_f1(chances: Tensor, wanted: Tensor) -> float:
    """Return the best F1 that any threshold on the chances gives."""
    right = wanted[chances.argsort(descending=True)].float().cumsum(0)
    found = torch.arange(1, len(right) + 1)
    return float((2 * right / (found + wanted.sum())).max())


def _losses(losses: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in losses.items())


