"""All of `restore train neural`: from any base through a training run to a bundle that restore runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from restore.bundle import Bundle, resources_folder
from restore.config import AUTO
from restore.engines import FOLDERS, HF_CONFIG, NEURAL, engine_of
from restore.models.neural import SEQUENCE_FIELD
from restore.training.checkpoint import load_state_progress
from restore.training.export import export, unexport
from restore.training.neural import Settings, to_stderr, train
from restore.training.pairs import held_out_windows, open_source

NEW_RATE, TRAINED_RATE = 3e-4, 1e-4
"""The highest learning rate for a base that has never restored, and for one that was trained to: more makes that one worse."""
ROUNDING_WINDOWS = 64
ROUNDING_SEED = 10_000
"""Windows that no run has seen tell the rounding what real inputs are."""
ABOUT = "A language model that reads stripped English, both ways, and writes the prose it came from, rounded to integers."


def adapt(
    files: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    base: str | os.PathLike[str] | None = None,
    held_out: str | os.PathLike[str] | None = None,
    resume: bool = True,
    channels: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    report: Callable[[str], None] | None = None,
    card: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Bundle:
    """Fine-tune a model on files and write it as a bundle; the checkpoint is in the folder `checkpoint` of it.

    A run that was stopped goes on; one that is done is only rounded again.

    Args:
        files: corpus files, as `restore.training.neural.train` takes them.
        out: the bundle's folder.
        base: a folder with a Llama-type model in safetensors, a GGUF file, or a bundle, which is made floats again first;
            the model that comes with restore if not given.
        held_out: a corpus file whose odd-numbered documents are only measured on.
        resume: go on from a checkpoint in `out` where there is one.
        channels: the channels that strip the windows, and their shares.
        weights: how much oftener than its length each source is drawn from.
        report: what is called with each line for the user; standard error by default.
        card: what the card should say besides.
        **settings: the fields of `restore.training.neural.Settings`; without a learning rate, it is `NEW_RATE` or
            `TRAINED_RATE`, by the base.

    Raises:
        RestoreError: a file cannot be used, or the settings contradict each other.
        ResourceError: the base is a damaged bundle.
    """
    say = report or to_stderr
    folder = Path(out)
    checkpoint = folder / "checkpoint"
    start = Path(base) if base is not None else resources_folder() / FOLDERS[NEURAL]
    origin = start.name
    if settings.get("learning_rate") is None:
        settings["learning_rate"] = TRAINED_RATE if _restores(start) else NEW_RATE
    keep = Settings(**settings).keep  # what is wrong is said before anything is unpacked
    source = open_source(files, channels=channels, weights=weights, seed=ROUNDING_SEED)
    if held_out is not None:
        held_out_windows(Path(held_out), 1)
    if engine_of(AUTO, start) == NEURAL:
        floats, going_on = folder / "base", resume and (checkpoint / "state.safetensors").exists()
        if not going_on or (keep and not floats.exists()):
            say(f"making {start} a checkpoint again")
            unexport(start, floats)
        start = floats
    train(
        files, checkpoint, base=start, origin=origin, held_out=held_out, resume=resume, channels=channels, weights=weights,
        report=report, **settings,
    )  # fmt: skip
    shutil.rmtree(folder / "base", ignore_errors=True)
    progress = load_state_progress(checkpoint)
    made = {
        "about": ABOUT,
        "command": "restore train neural FILES -o OUT --base BASE",
        "data": sorted({Path(path).name for path in files}),
        "base": origin,
        "training": {
            "tokens": progress.tokens,
            "target_tokens": progress.targets,
            "steps": progress.step,
            "minutes": round(progress.seconds / 60),
            "seed": progress.seed,
            **({"kept": keep} if keep else {}),
            **_losses(checkpoint),
        },
    }
    windows = [source.window(number) for number in range(ROUNDING_WINDOWS)]
    return export(checkpoint, folder, windows, {**made, **(card or {})}, say)


def _restores(base: Path) -> bool:
    """Tell whether a base was trained to restore: a bundle, or the checkpoint beside one."""
    try:
        config = json.loads((base / HF_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return engine_of(AUTO, base) == NEURAL
    return isinstance(config, dict) and SEQUENCE_FIELD in config


def _losses(checkpoint: Path) -> dict[str, float]:
    """Return the first and the last held-out loss of a run's log, in nats a piece."""
    found = []
    for line in (checkpoint / "log.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "held_out" in entry:
            found.append(min(entry["held_out"], entry["held_out_average"]))
    return {"held_out_before": found[0], "held_out_after": found[-1]} if found else {}
