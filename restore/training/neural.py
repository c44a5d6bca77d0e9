"""Train the neural model: a causal language model that reads stripped text and writes the prose it came from."""

from __future__ import annotations

import math
import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import LlamaForCausalLM

from restore.bundle import resources_folder
from restore.errors import RestoreError
from restore.models.network import available_threads
from restore.models.tagger import Tagger
from restore.training.checkpoint import (
    STATE,
    Progress,
    check_same_run,
    load_model,
    load_state,
    load_tokenizer,
    prune_model,
    save_model,
    save_state,
    truncate_log,
    write_log,
)
from restore.training.drafts import Drafter
from restore.training.packing import (
    LONGEST,
    Batch,
    Encoded,
    batches,
    encode_window,
    fixed_batches,
    losses,
    quicken,
)
from restore.training.pairs import Shape, WindowSource, facts_of, held_out_windows, open_source
from restore.training.precision import half_precision
from restore.training.vocabulary import count_pieces

FINAL_RATE = 0.05
CLIP = 1.0
BETAS = (0.9, 0.98)
EXCHANGED, PERSONS = 0.3, 0.3
"""Share of the documents in which women and men change places, and of the windows drawn by what they say of persons: the rest
speak of three men to a woman, and of neither for the most part."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run does, all but its data and its place.

    Attributes:
        minutes: training time, in minutes of work (a stop in between does not count); None is no limit.
        tokens: pieces of source and target to train on; None is no limit. One of the two must be given. Only a run
            limited by tokens alone is repeatable to the bit, as the learning rate follows the clock otherwise.
        seed: what the windows and their order depend on.
        learning_rate: the highest; reached after `warm_up` steps, then down a cosine to 5 % of it.
        warm_up: steps at the start with a lower rate.
        weight_decay: of all matrices.
        step_tokens: pieces of one step, over all workers; at least `LONGEST`, those of the longest window.
        half: multiply in bfloat16; None is wherever the processor gains by it.
        workers: threads that work on a share of each step each; None is one for every core.
        average: how much of the averaged weights each step keeps (a moving average over about 1 / (1 - average) steps).
        drafts: share of the windows that the model reads as a draft, in part or whole, while it learns the original.
        keep: the base's share of the weights in the end, the rest being what was learnt. Where the base was trained to restore,
            such a mean had less loss than either, as what the two know is much the same and what they erred by is not (Izmailov
            et al. 2018, "Averaging weights leads to wider optima and better generalization").
        prune: drop the base's pieces that occur less than this in the corpus and its lower-cased copy; 0 keeps all.
        save_minutes, eval_minutes: time between two checkpoints, and between two held-out losses.
        eval_windows: windows of the held-out loss.
    """

    minutes: float | None = None
    tokens: int | None = None
    seed: int = 0
    learning_rate: float = 3e-4
    warm_up: int = 30
    weight_decay: float = 0.01
    step_tokens: int = 2400
    half: bool | None = None
    workers: int | None = None
    average: float = 0.99
    drafts: float = 0.0
    keep: float = 0.0
    prune: int = 0
    save_minutes: float = 5.0
    eval_minutes: float = 30.0
    eval_windows: int = 80

    def __post_init__(self) -> None:
        if self.minutes is None and self.tokens is None:
            raise RestoreError("training: say how long: a number of minutes, of tokens, or both")
        if not 0 <= self.drafts <= 1:
            raise RestoreError(f"training: {self.drafts} is no share of the windows; give one from 0 to 1")
        if not 0 <= self.keep <= 1:
            raise RestoreError(f"training: {self.keep} is no share of the weights; give one from 0 to 1")
        if self.keep and self.prune:
            raise RestoreError("training: a base whose vocabulary is pruned cannot be kept in part; leave out one of the two")
        if min(self.minutes or 1, self.tokens or 1, self.step_tokens, self.learning_rate) <= 0:
            raise RestoreError("training: minutes, tokens, tokens a step and learning rate must be above 0")
        if self.step_tokens < LONGEST:
            raise RestoreError(f"training: a step of {self.step_tokens} tokens holds no window; give {LONGEST} or more")

    def done(self, progress: Progress) -> float:
        """Return the share of the run that is behind, from 0 to 1."""
        by_time = progress.seconds / (self.minutes * 60) if self.minutes else 0.0
        by_tokens = progress.tokens / self.tokens if self.tokens else 0.0
        return min(1.0, max(by_time, by_tokens))

    def rate(self, progress: Progress) -> float:
        """Return the learning rate of the next step.

        >>> halfway = Progress(step=100, tokens=500)
        >>> round(Settings(tokens=1000, learning_rate=1.0).rate(halfway), 3)
        0.525
        """
        cosine = (1 + math.cos(math.pi * self.done(progress))) / 2
        warm = min(1.0, (progress.step + 1) / self.warm_up) if self.warm_up else 1.0
        return self.learning_rate * warm * (FINAL_RATE + (1 - FINAL_RATE) * cosine)


def train(
    files: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    base: str | os.PathLike[str],
    origin: str | None = None,
    held_out: str | os.PathLike[str] | None = None,
    resume: bool = True,
    channels: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    shape: Shape | None = None,
    report: Callable[[str], None] | None = None,
    **settings: Any,
) -> Path:
    """Fine-tune a causal language model to restore stripped text, which it is shown both ways (`restore.models.neural`).

    The folder `out` gets `model.safetensors`, `config.json` and `tokenizer.json` (a plain Llama, the base of further
    runs: the last weights or their average, whichever measured better; in the end with the base's share, if it has one),
    `state.safetensors` (from which a stopped run goes on), `log.jsonl` and, at the end, `loss.png`.

    Args:
        files: corpus files: `.txt` or `.txt.xz`, one paragraph a line, each document closed by a line `%%%`.
        out: the folder to write.
        base: a folder with a Llama-type model in safetensors and its `tokenizer.json`, or a GGUF file of one.
        origin: what the base is called, if not by its own name: a run goes on only with the base that it began with.
        held_out: a corpus file whose odd-numbered documents are only measured on.
        resume: go on from `out` where it holds an unfinished run; else start anew.
        channels: the channels that strip the windows, and their shares.
        weights: how much oftener than its length each source is drawn from; 1 for a source not named.
        shape: how windows are cut.
        report: what is called with each line for the user; standard error by default.
        **settings: the fields of `Settings`.

    Returns:
        The folder.

    Raises:
        RestoreError: a file cannot be used, the settings contradict each other, or the run in `out` was begun with others.
    """
    run = Settings(**settings)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    say = report or to_stderr
    source = open_source(
        files, channels=channels, weights=weights, seed=run.seed, shape=shape, exchange=EXCHANGED, persons=PERSONS
    )
    torch.manual_seed(run.seed)
    own = {"seed": run.seed, "prune": run.prune, "drafts": run.drafts, "base": origin or Path(base).name}
    facts = {**facts_of(source), **own}
    going_on = resume and (folder / STATE).exists()
    if going_on:
        check_same_run(folder, facts)
        tokenizer, model = load_tokenizer(folder), load_model(folder)
    else:
        tokenizer, model = load_tokenizer(Path(base)), load_model(Path(base))
        if run.prune:
            say("counting pieces to prune the vocabulary")
            counts = count_pieces(tokenizer, list(chain.from_iterable(source.documents.values())))
            tokenizer = prune_model(model, tokenizer, counts, run.prune)
        say(f"vocabulary of {tokenizer.get_vocab_size()} pieces, {model.num_parameters() / 1e6:.1f}M parameters")
    measured = held_out_windows(Path(held_out), run.eval_windows) if held_out and run.eval_windows else []
    drafter = Drafter.of(Tagger.open(resources_folder() / "tagger"), source) if run.drafts else None
    if not going_on:
        (folder / STATE).unlink(missing_ok=True)  # lest the old run goes on if this is stopped before it is saved
    trainer = Trainer(
        model=model,
        tokenizer=tokenizer,
        source=source,
        settings=run,
        folder=folder,
        held_out=fixed_batches((encode_window(tokenizer, window) for window in measured), run.step_tokens),
        say=say,
        drafter=drafter,
        base=Path(base),
        progress=Progress(facts=facts),
    )
    if going_on:
        trainer.load()
        say(f"going on after step {trainer.progress.step}")
    trainer.run()
    return folder


@dataclass(eq=False)
class Trainer:
    """The state of a run and its loop.

    Each step, worker threads find the gradients of shares of the windows; these are added up and the optimiser makes one
    step. So workers meet once a step, whatever else the machine does meanwhile.

    Attributes:
        held_out: batches that are only measured on.
        drafter: draws drafts; None where there are none.
        base: what the run began with, of which it may keep a share in the end.
        progress: how far the run is.
        averaged: the moving average of the weights, in the order of the model's parameters.
    """

    model: LlamaForCausalLM
    tokenizer: Tokenizer
    source: WindowSource
    settings: Settings
    folder: Path
    held_out: list[Batch]
    say: Callable[[str], None]
    drafter: Drafter | None = None
    base: Path | None = None
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self.model.train()
        quicken(self.model)
        self.parameters: list[Tensor] = list(self.model.parameters())
        self.averaged = [p.detach().clone() for p in self.parameters]
        groups = [
            {"params": [p for p in self.parameters if p.dim() > 1], "weight_decay": self.settings.weight_decay},
            {"params": [p for p in self.parameters if p.dim() <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=BETAS, fused=True)
        self.workers = self.settings.workers or available_threads()
        self.half = half_precision() if self.settings.half is None else self.settings.half

    def load(self) -> None:
        """Take up the state that was saved last."""
        self.progress = load_state(self.folder, self.parameters, self.averaged, self.optimizer)
        truncate_log(self.folder, self.progress.step)

    def run(self) -> None:
        """Train to the end of the run, saving and measuring on the way."""
        settings, progress = self.settings, self.progress
        progress.seed = settings.seed
        stream = batches(self.window, progress.window, settings.step_tokens, self.workers)
        saved = progress.seconds
        if progress.step == 0:
            truncate_log(self.folder, -1)
            self.measure()
        with ThreadPoolExecutor(self.workers) as pool:
            while settings.done(progress) < 1:
                began = time.monotonic()
                shares = next(stream)
                loss = self.step(pool, shares)
                spent = time.monotonic() - began
                if not math.isfinite(loss):
                    raise RestoreError("training: the loss is no longer a number; lower the learning rate and resume")
                self.record(shares, loss, spent)
                if self.held_out and progress.seconds - progress.measured >= settings.eval_minutes * 60:
                    self.measure()
                if progress.seconds - saved >= settings.save_minutes * 60:
                    self.save()
                    saved = progress.seconds
        self.measure()
        self.save()
        if settings.keep and self.base is not None:
            self.mix(load_model(self.base), settings.keep)
        draw_losses(self.folder)

    def window(self, number: int) -> Encoded:
        """Return an encoded window, drafted or not."""
        window = self.source.window(number)
        chance = random.Random(f"drafts:{self.settings.seed}:{number}")
        drafted = self.drafter is not None and chance.random() < self.settings.drafts
        draft = self.drafter.draft(window, chance) if self.drafter and drafted else []
        return encode_window(self.tokenizer, window, draft)

    def step(self, pool: ThreadPoolExecutor, shares: Sequence[Batch]) -> float:
        """Make one step; return the mean loss of a target piece before it."""
        total = sum(len(share.targets) for share in shares)
        parameters = self.parameters

        def gradient(share: Batch) -> tuple[float, tuple[Tensor, ...]]:
            torch.set_num_threads(1)
            loss = losses(self.model, share, self.half).sum() / total
            return float(loss.detach()), torch.autograd.grad(loss, parameters)

        loss, sums = 0.0, list[Tensor]()
        for part, gradients in pool.map(gradient, shares):
            loss += part
            if sums:
                torch._foreach_add_(sums, list(gradients))
            else:
                sums = list(gradients)
        torch.set_num_threads(self.workers)
        for parameter, found in zip(parameters, sums, strict=True):
            parameter.grad = found
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate(self.progress)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        keep = min(self.settings.average, (1 + self.progress.step) / (10 + self.progress.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.averaged, parameters, 1 - keep)
        return loss

    def record(self, shares: Sequence[Batch], loss: float, spent: float) -> None:
        """Count a step and tell of it."""
        progress = self.progress
        pieces = sum(share.pieces.numel() for share in shares)
        rate = self.settings.rate(progress)
        progress.step += 1
        progress.tokens += pieces
        progress.targets += sum(len(share.targets) for share in shares)
        progress.window = shares[-1].following
        progress.seconds += spent
        progress.smooth = loss if progress.step == 1 else 0.95 * progress.smooth + 0.05 * loss
        speed = pieces / spent
        progress.speed = speed if progress.step == 1 else 0.9 * progress.speed + 0.1 * speed
        write_log(
            self.folder,
            step=progress.step,
            tokens=progress.tokens,
            targets=progress.targets,
            seconds=round(progress.seconds, 1),
            loss=round(loss, 4),
            rate=rate,
            speed=round(speed, 1),
        )
        done = self.settings.done(progress)
        left = progress.seconds * (1 - done) / done
        line = (
            f"step {progress.step}  loss {progress.smooth:.3f}  {progress.speed:.0f} tokens/s  "
            f"{progress.tokens / 1e6:.2f}M tokens  {_clock(left)} left"
        )
        if sys.stderr.isatty() and self.say is to_stderr:
            sys.stderr.write(f"\r{line}\033[K")
            sys.stderr.flush()
        elif progress.step % 10 == 0:
            self.say(line)

    def measure(self) -> None:
        """Measure the held-out loss of the weights and of their average."""
        progress = self.progress
        progress.measured = progress.seconds
        if not self.held_out:
            return
        began = time.monotonic()
        plain = self.held_out_loss()
        averaged = plain
        if progress.step:
            self._swap()
            averaged = self.held_out_loss()
            self._swap()
        progress.average_is_better = averaged < plain
        progress.seconds += time.monotonic() - began
        self._log_losses(plain, averaged)
        self.say(f"step {progress.step}  held-out loss {plain:.4f}, averaged weights {averaged:.4f}")

    def _log_losses(self, plain: float, averaged: float) -> None:
        progress = self.progress
        write_log(
            self.folder,
            step=progress.step,
            tokens=progress.tokens,
            seconds=round(progress.seconds, 1),
            held_out=round(plain, 4),
            held_out_average=round(averaged, 4),
        )

    def held_out_loss(self) -> float:
        """Return the mean loss of a held-out target piece."""

        def one(batch: Batch) -> Tensor:
            torch.set_num_threads(1)
            with torch.no_grad():
                return losses(self.model, batch, self.half)

        with ThreadPoolExecutor(self.workers) as pool:
            return float(torch.cat(list(pool.map(one, self.held_out))).mean())

    def save(self) -> None:
        """Save the better weights as a plain model, then the state, which needs that model's files."""
        began = time.monotonic()
        if self.progress.average_is_better:
            self._swap()
        save_model(self.folder, self.model, self.tokenizer)
        if self.progress.average_is_better:
            self._swap()
        self.progress.seconds += time.monotonic() - began
        save_state(self.folder, self.parameters, self.averaged, self.optimizer, self.progress)

    def mix(self, base: LlamaForCausalLM, share: float) -> None:
        """Give the base a share of the weights, and save them as a plain model; the state stays that of the run."""
        if self.progress.average_is_better:
            self._swap()
        with torch.no_grad():
            torch._foreach_lerp_(self.parameters, list(base.parameters()), share)
        if self.held_out:
            loss = self.held_out_loss()
            self._log_losses(loss, loss)
            self.say(f"held-out loss {loss:.4f} with {share:g} of the base")
        save_model(self.folder, self.model, self.tokenizer)

    def _swap(self) -> None:
        with torch.no_grad():
            for parameter, other in zip(self.parameters, self.averaged, strict=True):
                kept = parameter.clone()
                parameter.copy_(other)
                other.copy_(kept)


def draw_losses(folder: Path) -> None:
    """Draw the losses of `log.jsonl` as `loss.png`, where matplotlib is installed."""
    try:
        from restore.training.curve import draw
    except ImportError:
        return
    draw(folder / "log.jsonl", folder / "loss.png")


def _clock(seconds: float) -> str:
    """Return a time as hours and minutes.

    >>> _clock(4000)
    '1:06'
    """
    return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}"


def to_stderr(line: str) -> None:
    """Write a line for the user."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
