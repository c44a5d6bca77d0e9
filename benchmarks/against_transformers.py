"""The neural engine against the same weights in transformers: float32, greedy, unconstrained, on the same texts and cores.

    python benchmarks/against_transformers.py ../shared/corpus/dev/news.txt -o benchmarks/results/against_transformers.json

Needs the `train` extra. Each runs in a process of its own, one after the other, three times in turn; loading is not
counted. The greedy text is no restoration: it need not strip back to anything. It is what the weights cost without a search.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from restore import strip_text
from restore.training.documents import read_documents

WORDS = 90
"""Stripped words that greedy decoding is given at a time."""


def ours(texts: list[str], together: int) -> tuple[int, float]:
    """Restore the texts; return words written and seconds."""
    from restore import Restorer

    restorer = Restorer(engine="neural", repair=False)
    restorer.restore("minister resigned")
    began = time.perf_counter()
    words = sum(len(one.text.split()) for one in restorer.restore_many(texts, together))
    return words, time.perf_counter() - began


def theirs(texts: list[str], checkpoint: str) -> tuple[int, float]:
    """Decode the texts greedily, window by window; return words written and seconds."""
    import torch
    from transformers import DynamicCache, LlamaForCausalLM

    from restore.training.checkpoint import load_tokenizer
    from restore.training.packing import special_pieces

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, local_files_only=True).eval()
    tokenizer = load_tokenizer(Path(checkpoint))
    start, separator, end = special_pieces(tokenizer)
    began, words = time.perf_counter(), 0
    for text in texts:
        source = text.split()
        for at in range(0, len(source), WORDS):
            pieces = tokenizer.encode(" " + " ".join(source[at : at + WORDS])).ids
            prompt = torch.tensor([[start, *pieces, separator]])
            read, size = DynamicCache(), prompt.shape[1] - 1
            with torch.no_grad():
                # All pieces of the source see each other, so nothing is hidden from any.
                model(prompt[:, :size], past_key_values=read, attention_mask=torch.zeros(1, 1, size, size))
                written = model.generate(
                    prompt, past_key_values=read, attention_mask=torch.ones_like(prompt), do_sample=False, eos_token_id=end,
                    pad_token_id=end, max_new_tokens=3 * len(pieces), use_cache=True,
                )  # fmt: skip
            words += len(tokenizer.decode(written[0, prompt.shape[1] :].tolist()).split())
    return words, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--documents", type=int, default=8, help="documents of even number")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=["alone", "together", "transformers"], help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", help=argparse.SUPPRESS)
    options = parser.parse_args()
    texts = [strip_text(text) for text in islice(read_documents(options.file), 1, 2 * options.documents, 2)]
    if options.one:
        done = (
            theirs(texts, options.checkpoint)
            if options.one == "transformers"
            else ours(texts, 1 if options.one == "alone" else 4)
        )
        print(json.dumps(done))
        return
    from restore.bundle import resources_folder
    from restore.training.export import unexport

    rates: dict[str, list[float]] = {"alone": [], "together": [], "transformers": []}
    with tempfile.TemporaryDirectory() as folder:
        unexport(resources_folder() / "neural", Path(folder))
        for _ in range(options.rounds):
            for name, found in rates.items():
                command = [sys.executable, __file__, str(options.file), "--documents", str(options.documents),
                           "--one", name, "--checkpoint", folder]  # fmt: skip
                words, seconds = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
                found.append(words / seconds)
    best = {name: statistics.median(found) for name, found in rates.items()}
    result = {
        "documents": options.documents,
        "words a second": {name: [round(rate, 1) for rate in found] for name, found in rates.items()},
        "times transformers, one text at a time": round(best["alone"] / best["transformers"], 2),
        "times transformers, four texts in step": round(best["together"] / best["transformers"], 2),
    }
    print(json.dumps(result, indent=2))
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
