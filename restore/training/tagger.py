"""Train the tagger: an encoder that reads stripped text and says of each gap what it held (`restore.tags`).

A BERT, such as MiniLM (Wang et al. 2020), or an MPNet (Song et al. 2020), with a layer for gaps, which reads the last piece
before each and the first after it, and one for tokens.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from restore.channel import get_channel
from restore.errors import RestoreError
from restore.models.network import available_threads
from restore.tags import Case, Mark
from restore.training.checkpoint import (
    STATE,
    Progress,
    check_same_run,
    load_averaged,
    load_state,
    load_state_progress,
    save_state,
    truncate_log,
    write_log,
)
from restore.training.documents import read_documents
from restore.training.pairs import (
    MOST_DRAWS,
    NOTHING_KEPT,
    SOURCE_WEIGHTS,
    WindowSource,
    check_weights,
    facts_of,
    read_sources,
)
from restore.training.people import MEN, WOMEN
from restore.training.precision import half_precision
from restore.training.tagger_export import export
from restore.training.tagger_network import (
    DROPOUT,
    UNREAD,
    Network,
    agreed,
    gender_loss,
    lessons,
    losses,
    moments,
    read_base,
    read_teacher,
    stacked,
    weighed,
)
from restore.training.tagger_rows import IGNORED, Batch, Row, RowMaker, name_tags

CHANNEL_SHARES: Mapping[str, float] = {
    "nltk": 0.62, "transcript": 0.2, "stemmed": 0.05, "spacy": 0.05, "sklearn": 0.04, "lower": 0.04,
}  # fmt: skip
ROWS = 24
"""Rows of a step."""
PERSONS, EXCHANGED = 0.2, 0.2
"""The share of rows that are drawn by what they say of persons, and of those in which women and men are in each other's place:
with none, a tagger said "he" of every woman, as most training text speaks of no person, and else of a man."""
ADDED_RATE = 5.0
"""How much faster the layers that the base had not are learnt."""
TAUGHT = 0.6
"""A teacher's share of what is learnt in the beginning; it falls to nothing by the end."""
LOSS_WEIGHTS = {"marks": 1.5, "first": 1.0, "last": 0.7, "held": 0.5, "edits": 1.5, "cases": 1.0}
GENDER_WEIGHT = 50.0
"""What it counts besides to tell women from men, in the gaps that speak of either: they are so few that with 8 nothing was to be
seen of it after 230 steps; with 100 there was a beginning after 130, and 50 sufficed to go on from there."""
FINAL_RATE, CLIP, BETAS, WEIGHT_DECAY, WARM_UP = 0.05, 1.0, (0.9, 0.98), 0.01, 100
SAVE_SECONDS, MEASURE_STEPS, AVERAGE = 300.0, 200, 0.995
SAMPLE = 64
"""Rows, at least, by which it is decided how weights are rounded."""
HELD_OUT = 80
"""Documents that are measured on, at most."""

ABOUT = "An encoder that reads stripped English and says what each gap held, and how each token was spelt."

OTHER_BESIDE = "{folder}: holds a run of another {what}; runs that are averaged must differ in nothing but their seeds"
NO_TEACHER = "training: joining needs a teacher, whose encoders the new one is to stand beside"
NOT_LOWER = "{path}: a tagger that was not made of the base's lower layers ({why})"
NOT_AKIN = "{path}: a tagger of other layers; only taggers that were trained on from one another can be averaged"
OTHER_TAGS = "{path}: a tagger of other tags than the base's; give one that the base was made from, or none"
NO_OTHERS = "training: --share weighs the last encoder against others, and there are none; leave it out, or --join a teacher's"
OTHER_LEVELS = "training: {given} levels for {encoders} encoders; give one for each, or none"
NO_RUN = "{path}: cannot be read ({error}); give the folder of a run"
SAME_SEED = "{folder}: holds a run with the same seed, {seed}, which saw the same rows; give each run another --seed"

TAGS = "tags.json"
"""The words and edits that a run has tags for."""


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
    keep: float = 0.0,
    beside: Sequence[Path] = (),
    mean: Sequence[Path] = (),
    layers: int | None = None,
    lower: Path | None = None,
    teacher: Path | None = None,
    join: bool = False,
    rows: int = ROWS,
    levels: Sequence[int] = (),
    share: float | None = None,
    half: bool | None = None,
    resume: bool = True,
    report: Callable[[str], None] = print,
) -> Path:
    """Train a tagger, and write it as a bundle. A stopped run goes on where it was.

    Args:
        files: corpus files, documents closed by a line %%%.
        out: the folder; what the run needs to go on is in `out/checkpoint`.
        base: a folder with a BERT or an MPNet in safetensors and its tokenizer, or a tagger, whose last encoder is trained
            on; others stay as they are.
        held_out: a corpus file whose odd-numbered documents are measured on.
        minutes: how long to train, stops not counted.
        gaps: on how many gaps to train; one of the two must be given, and only this one is repeatable.
        seed: what the rows depend on.
        learning_rate: the highest.
        channels: the channels that strip, and their shares.
        weights: how much oftener than its length each source is drawn from.
        keep: the base's share of the weights in the end, the rest being what was learnt: on text that was not trained on,
            such a mean is better than either (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
        beside: folders of runs with other seeds from the same base, ended or not, whose weights are averaged with this run's in
            the end: cores that train apart waste nothing on each other, and such a mean is better than its parts (Wortsman et
            al. 2022, "Model soups").
        mean: taggers that this one was trained on from, or that were trained on from the same, the last encoder of each of which
            gets an equal share of the weights with what was learnt: what one of them knows by heart the others do not.
        layers: how many of the base's layers to keep, from the lowest; all if not given.
        lower: a tagger made of the base's lower layers. Go on from its last encoder, with the base's further layers between
            its highest one and what reads it.
        teacher: a tagger of the same pieces. The run has its tags, and learns what it holds of each gap and token besides what
            the text had (Hinton et al. 2015, "Distilling the knowledge in a neural network").
        join: put the teacher's encoders into the bundle before the one that is trained, as they are.
        rows: rows of a step.
        levels: the largest integer that each encoder's weights are rounded to in the end; 63 if not given.
        share: what the logits of the encoder that is trained count beside those of others, from 0 to 1; if not given, what they
            counted in the base, or as much as each other.
        half: multiply in bfloat16; None is wherever the processor gains by it.
        resume: go on from what a stopped run left in `out`; else begin anew.
        report: called with lines to show.

    Raises:
        RestoreError: a file cannot be used, neither `minutes` nor `gaps` is given, options do not go together, or the run in
            `out` or one beside it was begun with others.
    """
    if not (minutes or gaps):
        raise RestoreError("training: say how long: a number of minutes, or of gaps")
    if join and teacher is None:
        raise RestoreError(NO_TEACHER)
    folder = out / "checkpoint"
    folder.mkdir(parents=True, exist_ok=True)
    documents = read_sources(files)
    check_weights(weights, documents)
    source = WindowSource(
        documents,
        channels=dict(channels or CHANNEL_SHARES),
        weights=dict(SOURCE_WEIGHTS if weights is None else weights),
        seed=seed,
        exchange=EXCHANGED,
        persons=PERSONS,
    )
    torch.manual_seed(seed)
    found = read_base(base, layers)
    *others, known = found.encoders
    tokenizer, words, edits = found.tokenizer, found.words, found.edits
    facts = {**facts_of(source), "seed": seed, "base": base.name, "layers": layers, "rows": rows}
    facts |= {"gender": GENDER_WEIGHT, "dropout": DROPOUT, "unread": UNREAD}
    if lower is not None:
        below = read_teacher(lower, tokenizer)
        try:
            known = stacked(known, below.encoders[-1])
        except ValueError as error:
            raise RestoreError(NOT_LOWER.format(path=lower, why=error)) from error
        words, edits = below.words, below.edits
        facts["lower"] = lower.name
    teachers: list[Network] = []
    if teacher is not None:
        teaching = read_teacher(teacher, tokenizer)
        if words and (words, edits) != (teaching.words, teaching.edits):
            raise RestoreError(OTHER_TAGS.format(path=teacher))
        words, edits = teaching.words, teaching.edits
        teachers = [Network(weights, {}).requires_grad_(False) for weights in teaching.encoders]
        others = teaching.encoders if join else others
        facts["teacher"] = teacher.name
    if levels and len(levels) != len(others) + 1:
        raise RestoreError(OTHER_LEVELS.format(given=len(levels), encoders=len(others) + 1))
    if share is None and not join:
        share = found.share
    if share is not None and not others:
        raise RestoreError(NO_OTHERS)
    going_on = resume and (folder / STATE).exists()
    if going_on:
        check_same_run(folder, facts)
        words, edits = json.loads((folder / TAGS).read_text(encoding="utf-8"))
    elif not words:
        words, edits = name_tags(source, seed)
    if not going_on:
        (folder / STATE).unlink(missing_ok=True)
        truncate_log(folder, -1)
    (folder / TAGS).write_text(json.dumps([words, edits]), encoding="utf-8")
    maker = RowMaker(tokenizer, words, edits)
    outputs = {"marks": len(Mark), "cases": len(Case), "edits": len(edits)} | dict.fromkeys(("first", "last", "held"), len(words))
    run = Run(Network(known, outputs), maker, source, folder, seed, learning_rate, minutes, gaps, report, teachers, rows)
    run.half = half_precision() if half is None else half
    run.progress.facts = facts
    run.progress.seed = seed
    if held_out is not None:
        run.held_out = _held_out(maker, held_out)
    theirs = [_beside(path / "checkpoint", facts, [words, edits]) for path in beside]
    akin = [_akin(path, run.network, tokenizer, [words, edits]) for path in mean]
    run.train()
    if beside or akin:
        run.average([*(run.averaged_of(path / "checkpoint") for path in beside), *akin])
    if keep:
        run.mix(known, keep)
    final = weighed([*others, {name: run.network.weight(name).detach() for name in run.network.names}], share)
    if others:
        run.put_beside([Network(weights, {}).requires_grad_(False) for weights in final])
    sample = [batch for number in range(SAMPLE // rows + 1) for batch in run.batches(number)]
    card = {
        "about": ABOUT,
        "command": "restore train tagger FILES -o OUT --base BASE",
        "data": sorted({path.name for path in files}),
        "base": base.name,
        **({} if share is None else {"share": share}),
        "training": {
            "gaps": run.progress.targets,
            "steps": run.progress.step,
            "minutes": round(run.progress.seconds / 60),
            "seed": seed,
            "kept": keep,
            **({"beside": [{"gaps": other.targets, "seed": other.seed} for other in theirs]} if theirs else {}),
            **({"mean": [path.name for path in mean]} if mean else {}),
            "held_out": run.measured,
        },
    }
    arrays = [{name: value.numpy() for name, value in weights.items()} for weights in final]
    export(arrays, [moments(weights, sample) for weights in final], tokenizer, words, edits, out, card, levels)
    return out


def _beside(folder: Path, facts: Mapping[str, Any], tags: list[list[str]]) -> Progress:
    """Return how far a run is whose weights are to be averaged with those of a run with these facts.

    Raises:
        RestoreError: it is of another base, or of the same rows.
    """
    try:
        theirs = json.loads((folder / TAGS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RestoreError(NO_RUN.format(path=folder / TAGS, error=error)) from error
    progress = load_state_progress(folder)
    other = [name for name, value in facts.items() if name != "seed" and progress.facts.get(name) != value]
    if other:
        raise RestoreError(OTHER_BESIDE.format(folder=folder, what=", ".join(other)))
    if theirs != tags:  # a seed also draws the text that names them
        raise RestoreError(OTHER_BESIDE.format(folder=folder, what="set of tags"))
    if progress.seed == facts["seed"]:
        raise RestoreError(SAME_SEED.format(folder=folder, seed=progress.seed))
    return progress


def _akin(path: Path, network: Network, tokenizer: Tokenizer, tags: list[list[str]]) -> Mapping[str, Tensor]:
    """Return the weights of the last encoder of a tagger that a network is to be averaged with.

    Raises:
        RestoreError: it is none, or it has other pieces, tags or layers.
    """
    found = read_teacher(path, tokenizer)
    if [found.words, found.edits] != tags:
        raise RestoreError(OTHER_TAGS.format(path=path))
    weights = found.encoders[-1]
    if {name: value.shape for name, value in weights.items()} != {name: network.weight(name).shape for name in network.names}:
        raise RestoreError(NOT_AKIN.format(path=path))
    return weights


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
    teachers: Sequence[Network] = ()
    rows: int = ROWS
    half: bool = False
    held_out: list[Batch] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)
    measured: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parameters: list[Tensor] = [value for value in self.network.parameters() if value.requires_grad]
        self.averaged = [value.detach().clone() for value in self.parameters]
        added = {id(self.network.get_parameter(name)) for name in self.network.added}
        groups = [
            {"params": found, "weight_decay": decay, "speed": speed}
            for large, decay in ((True, WEIGHT_DECAY), (False, 0.0))
            for new, speed in ((False, 1.0), (True, ADDED_RATE))
            if (found := [p for p in self.parameters if (p.dim() > 1) == large and (id(p) in added) == new])
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=BETAS, fused=True)
        self.workers = min(available_threads(), self.rows)
        known = self.maker.words
        self.genders = [torch.tensor([known[word] for word in words if word in known]) for words in (WOMEN, MEN)]

    @property
    def done(self) -> float:
        """The share of the run that is behind."""
        by_time = self.progress.seconds / (self.minutes * 60) if self.minutes else 0.0
        return min(1.0, max(by_time, self.progress.targets / self.gaps if self.gaps else 0.0))

    def batches(self, number: int) -> list[Batch]:
        """Make the batches of a step, one a worker."""
        shares = [range(at, self.rows, self.workers) for at in range(self.workers)]
        return [self.maker.batch([self.row(number * self.rows + at) for at in share]) for share in shares]

    def row(self, number: int) -> Row:
        """Make row `number`, which depends on the seed and it alone.

        Raises:
            RestoreError: the channels keep hardly a word of the documents.
        """
        chance = random.Random(f"{self.seed}:{number}")
        for _ in range(MOST_DRAWS):
            if chance.random() < self.source.persons:
                _, text, tokens, near = self.source.person(chance)
                start = near - chance.randint(0, 100)
            else:
                _, text, tokens = self.source.document(chance)
                start = chance.randint(-60, max(0, len(tokens) - 60))
            if len(tokens) > 4:
                return self.maker.row(text, tokens, max(0, min(start, len(tokens) - 1)))
        raise RestoreError(NOTHING_KEPT)

    def train(self) -> None:
        """Train to the end of the run, saving and measuring on the way."""
        progress = self.progress
        if (self.folder / STATE).exists():
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

    def averaged_of(self, folder: Path) -> dict[str, Tensor]:
        """Return the averaged weights that a run beside this one left."""
        learnt = [name for name in self.network.names if self.network.weight(name).requires_grad]
        return dict(zip(learnt, load_averaged(folder, len(learnt)), strict=True))

    def average(self, others: Sequence[Mapping[str, Tensor]]) -> None:
        """Average the weights with those of other runs or taggers, each with an equal share, and measure them."""
        with torch.no_grad():
            for number, other in enumerate(others, 1):
                for name, value in other.items():
                    self.network.weight(name).lerp_(value, 1 / (number + 1))
        self.measured = self.measure()
        self.say(f"averaged with {len(others)} more  held out: {_losses(self.measured)}")

    def mix(self, base: Mapping[str, Tensor], share: float) -> None:
        """Move the weights towards those of the base, by the base's share, and measure them."""
        with torch.no_grad():
            for name, value in base.items():
                self.network.weight(name).lerp_(value, share)
        self.measured = self.measure()
        self.say(f"mixed with the base  held out: {_losses(self.measured)}")

    def put_beside(self, encoders: Sequence[Network]) -> None:
        """Measure the opinions of all encoders together."""
        self.measured = self.measure(encoders)
        self.say(f"beside the other encoders  held out: {_losses(self.measured)}")

    def step(self, pool: ThreadPoolExecutor, batches: Sequence[Batch], gaps: int) -> dict[str, float]:
        """Make one step; return the mean losses before it."""

        def gradient(batch: Batch, number: int) -> tuple[dict[str, float], tuple[Tensor, ...]]:
            torch.set_num_threads(1)
            found = self.network(batch, self.half, dropped[number])
            wanted = losses(found, batch)
            parts = {name: float(loss.detach()) for name, loss in wanted.items()}
            if self.teachers:
                with torch.no_grad():
                    taught = agreed(self.teachers, batch)
                share = TAUGHT * (1 - self.done)
                for name, loss in lessons(found, taught, batch).items():
                    wanted[name] = (1 - share) * wanted[name] + share * loss
            total = sum((LOSS_WEIGHTS[name] * loss for name, loss in wanted.items()), torch.zeros(()))
            if all(len(numbers) for numbers in self.genders):
                total = total + GENDER_WEIGHT * gender_loss(found, batch, *self.genders)
            return parts, torch.autograd.grad(total / gaps, self.parameters)

        # One for each batch: threads that shared one would take from it in any order.
        chance = random.Random(f"{self.seed}:{self.progress.step}:dropped")
        dropped = [torch.Generator().manual_seed(chance.getrandbits(63)) for _ in batches]
        sums: list[Tensor] = []
        parts: list[dict[str, float]] = []
        for part, gradients in pool.map(gradient, batches, range(len(batches))):
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
            group["lr"] = self.learning_rate * group["speed"] * warm * (FINAL_RATE + (1 - FINAL_RATE) * cosine)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        keep = min(AVERAGE, (1 + self.progress.step) / (10 + self.progress.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.averaged, self.parameters, 1 - keep)
        return {name: round(sum(part[name] for part in parts) / gaps, 4) for name in parts[0]}

    def measure(self, networks: Sequence[Network] = ()) -> dict[str, float]:
        """Return the mean losses of the held-out text, and the best F1 of commas and of sentence ends that a threshold gives.

        Args:
            networks: what tags it, all together; the one that is trained if not given.
        """
        if not self.held_out:
            return {}
        sums, marks, wanted = Counter[str](), list[Tensor](), list[Tensor]()
        with torch.no_grad():
            for batch in self.held_out:
                found = agreed(networks or [self.network], batch)
                sums.update({name: float(loss) for name, loss in losses(found, batch).items()})
                marks.append(found["marks"].softmax(1))
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


