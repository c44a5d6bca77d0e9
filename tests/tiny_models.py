"""Tiny models of Hugging Face's transformers, with random weights, written as transformers saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

DATA = Path(__file__).parent / "data"
SIZES = {
    "llama": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
              "num_key_value_heads": 2, "max_position_embeddings": 1024, "bos_token_id": 0, "eos_token_id": 0},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512, "bos_token_id": 0, "eos_token_id": 0},
    "bert": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4},
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    "t5": {"d_model": 32, "d_ff": 32, "num_layers": 1, "num_heads": 2, "d_kv": 16},
}  # fmt: skip


def byte_level() -> Tokenizer:
    return Tokenizer.from_file(str(DATA / "tiny_neural" / "tokenizer.json"))


def prefix_mask(size: int, source: int) -> Any:
    """Return what transformers adds to the scores of pieces of which the first, the source, see each other both ways."""
    import torch

    sees = torch.ones(size, size, dtype=torch.bool).tril()
    sees[:source, :source] = True
    return torch.zeros(size, size).masked_fill(~sees, torch.finfo(torch.float32).min)[None, None]


def write_model(folder: Path, kind: str, tokenizer: Tokenizer | None = None, **options: object) -> Path:
    """Write a tiny model of random weights, wide apart."""
    import torch
    import transformers

    tokenizer = tokenizer or byte_level()
    torch.manual_seed(5)
    config = transformers.AutoConfig.for_model(
        kind, vocab_size=tokenizer.get_vocab_size(), initializer_range=0.2, **{**SIZES[kind], **options}
    )
    causal = type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING
    made = (transformers.AutoModelForCausalLM if causal else transformers.AutoModel).from_config(config)
    made.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
