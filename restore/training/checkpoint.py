"""The files of a training run: plain models, the state to go on from, and the log."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from restore.errors import RestoreError
from restore.models.neural import SEQUENCE, SEQUENCE_FIELD
from restore.training.export import shape_of
from restore.training.packing import ATTENTION, special_pieces
from restore.training.vocabulary import prune

STATE, LOG = "state.safetensors", "log.jsonl"
OTHER_RUN = "{folder}: holds a run of another {what}; give the same to go on with it, --restart to begin anew, or another OUT"


@dataclass(slots=True)
class Progress:
    """How far a run is.

    Attributes:
        step, tokens, targets: steps made, pieces seen, pieces that carried loss.
        window: the number of the next window.
        seconds: time spent on steps and on measuring.
        measured: the time of the last measuring.
        smooth, speed: running means of the loss and of the pieces a second.
        average_is_better: whether the averaged weights measured better than the plain ones.
        seed: the run's seed.
        facts: what the run was begun with, and goes on with.
    """

    step: int = 0
    tokens: int = 0
    targets: int = 0
    window: int = 0
    seconds: float = 0.0
    measured: float = 0.0
    smooth: float = 0.0
    speed: float = 0.0
    average_is_better: bool = False
    seed: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


def check_same_run(folder: Path, facts: Mapping[str, Any]) -> None:
    """Check that a run that is to go on was begun with the same data, base and options.

    Raises:
        RestoreError: it was not, or what it left is damaged.
    """
    progress = load_state_progress(folder)
    begun = progress.facts or {"seed": progress.seed}
    other = [name for name, value in facts.items() if name in begun and begun[name] != value]
    if other:
        raise RestoreError(OTHER_RUN.format(folder=folder, what=", ".join(other)))


def load_tokenizer(base: Path) -> Tokenizer:
    """Load the tokenizer of a base: a folder with `tokenizer.json`, or a GGUF file.

    Raises:
        RestoreError: there is none, or it lacks the pieces that the sequence format needs.
    """
    try:
        if base.suffix == ".gguf":
            loaded: Any = AutoTokenizer.from_pretrained(base.parent, gguf_file=base.name)
            tokenizer = Tokenizer.from_str(loaded.backend_tokenizer.to_str())
        else:
            tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    except Exception as error:
        raise RestoreError(f"{base}: no tokenizer can be read ({error}); give a model folder or a GGUF file") from error
    special_pieces(tokenizer)
    return tokenizer


def load_model(base: Path) -> LlamaForCausalLM:
    """Load a base in float32, with attention for packed rows.

    Raises:
        RestoreError: it is not a Llama-type model that transformers can read.
    """
    options: dict[str, Any] = {"dtype": torch.float32, "attn_implementation": ATTENTION}
    try:
        if base.suffix == ".gguf":
            read: Any = AutoModelForCausalLM.from_pretrained(base.parent, gguf_file=base.name, **options)
            # A model read from GGUF remembers a quantisation that it no longer has, and then cannot be saved.
            if hasattr(read.config, "quantization_config"):
                del read.config.quantization_config
            read.config._attn_implementation = ATTENTION
            model: Any = LlamaForCausalLM(read.config)
            model.load_state_dict(read.state_dict())
            model.tie_weights()
        else:
            model = AutoModelForCausalLM.from_pretrained(base, local_files_only=True, **options)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise RestoreError(f"{base}: no model can be read ({error}); give a model folder or a GGUF file") from error
    try:
        shape_of(model.config.to_dict())  # what cannot be exported in the end is not trained for hours
    except (ValueError, KeyError) as error:
        raise RestoreError(f"{base}: not a Llama-type model that can be trained ({error}); give another base") from error
    return model  # type: ignore[no-any-return]


def prune_model(model: LlamaForCausalLM, tokenizer: Tokenizer, counts: Counter[int], minimum: int) -> Tokenizer:
    """Prune the vocabulary of a model in place; return its smaller tokenizer."""
    pruned = prune(tokenizer, counts, minimum)
    kept = torch.tensor(pruned.kept)
    rows = {"embedding": model.model.embed_tokens.weight.data[kept].clone()}
    tied = model.config.tie_word_embeddings
    if not tied:
        rows["head"] = model.lm_head.weight.data[kept].clone()
    model.resize_token_embeddings(len(pruned.kept), mean_resizing=False)
    model.model.embed_tokens.weight.data.copy_(rows["embedding"])
    if not tied:
        model.lm_head.weight.data.copy_(rows["head"])
    return pruned.tokenizer


def save_model(folder: Path, model: LlamaForCausalLM, tokenizer: Tokenizer) -> None:
    """Write `model.safetensors`, `config.json` and `tokenizer.json`, each whole or not at all.

    `config.json` says that the model has learnt to read the source before it writes, for whoever runs the checkpoint.
    """
    config = model.config.to_dict()
    start, _, end = special_pieces(tokenizer)
    config |= {"architectures": ["LlamaForCausalLM"], "bos_token_id": start, "eos_token_id": end, "pad_token_id": end}
    config[SEQUENCE_FIELD] = SEQUENCE
    for unwanted in ("_name_or_path", "unk_token_id"):
        config.pop(unwanted, None)
    _write(folder / "config.json", json.dumps(config, indent=2, sort_keys=True) + "\n")
    _write(folder / "tokenizer.json", tokenizer.to_str())
    tensors = dict(model.named_parameters())
    _save(tensors, folder / "model.safetensors", {"format": "pt"})


def save_state(
    folder: Path,
    parameters: Sequence[Tensor],
    averaged: Sequence[Tensor],
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Write all that a run needs to go on, in one file that replaces the last one at once."""
    tensors = dict[str, Tensor]()
    for number, (parameter, mean) in enumerate(zip(parameters, averaged, strict=True)):
        state = optimizer.state[parameter]
        tensors[f"{number}.weight"] = parameter.detach()
        tensors[f"{number}.averaged"] = mean
        tensors[f"{number}.first"] = state["exp_avg"]
        tensors[f"{number}.second"] = state["exp_avg_sq"]
    _save(tensors, folder / STATE, {"progress": json.dumps(asdict(progress))})


def load_state_progress(folder: Path) -> Progress:
    """Read how far a run is from what `save_state` wrote.

    Raises:
        RestoreError: the file is missing or damaged.
    """
    path = folder / STATE
    try:
        with safe_open(path, framework="pt") as file:
            return Progress(**json.loads(file.metadata()["progress"]))
    except Exception as error:
        raise RestoreError(f"{path}: cannot be read ({error}); train again") from error


def load_state(
    folder: Path, parameters: Sequence[Tensor], averaged: Sequence[Tensor], optimizer: torch.optim.Optimizer
) -> Progress:
    """Read what `save_state` wrote into the given tensors; return the progress.

    Raises:
        RestoreError: the file is damaged, or of another model.
    """
    path = folder / STATE
    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
            with torch.no_grad():
                for number, (parameter, mean) in enumerate(zip(parameters, averaged, strict=True)):
                    parameter.copy_(file.get_tensor(f"{number}.weight"))
                    mean.copy_(file.get_tensor(f"{number}.averaged"))
                    optimizer.state[parameter] = {
                        "step": torch.tensor(float(progress.step)),
                        "exp_avg": file.get_tensor(f"{number}.first"),
                        "exp_avg_sq": file.get_tensor(f"{number}.second"),
                    }
    except Exception as error:
        raise RestoreError(f"{path}: cannot go on from it ({error}); remove it to start anew") from error
    return progress


def load_averaged(folder: Path, count: int) -> list[Tensor]:
    """Read the averaged weights of what `save_state` wrote, in the order of the parameters.

    Args:
        folder: where the state is.
        count: how many parameters there must be.

    Raises:
        RestoreError: the file is missing, damaged, or of another model.
    """
    path = folder / STATE
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.endswith(".averaged")]  # noqa: SIM118 (not a mapping)
            if len(names) != count:
                raise ValueError(f"{len(names)} weights, not {count}")
            return [file.get_tensor(f"{number}.averaged") for number in range(count)]
    except Exception as error:
        raise RestoreError(f"{path}: cannot be read ({error}); give the folder of a run") from error


def write_log(folder: Path, **entry: float) -> None:
    """Add a line to the log."""
    with (folder / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def truncate_log(folder: Path, step: int) -> None:
    """Drop the log's lines after a step, which a resumed run makes again."""
    path = folder / LOG
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry["step"] <= step:
            kept.append(line + "\n")
    _write(path, "".join(kept))


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def _save(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    part = path.with_name(path.name + ".part")
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, part, metadata)
    os.replace(part, path)
