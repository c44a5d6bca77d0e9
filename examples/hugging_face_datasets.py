"""Restore a column of a Hugging Face data set with `Dataset.map`.

    pip install . datasets
    python examples/hugging_face_datasets.py

`map` keeps what it has done in its cache; with `num_proc=4` four processes work, each with a restorer of its own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from datasets import Dataset

from restore import Restorer


@lru_cache(maxsize=1)
def restorer() -> Restorer:
    """Return this process's restorer: it holds the model, so it is made once, where the work is done."""
    return Restorer(engine="fast")


def restore_batch(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the new columns for some rows."""
    results = list(restorer().restore_many(batch["text"]))
    return {
        "restored": [result.text for result in results],
        "confidence": [result.confidence for result in results],
    }


def main() -> Dataset:
    """Restore a small data set and print it."""
    articles = Dataset.from_dict(
        {
            "id": [101, 102, 103],
            "text": [
                "u immigration official routinely deport non citizen felony drug conviction",
                "court ruled tuesday law unconstitutional",
                "",
            ],
        }
    )
    restored = articles.map(restore_batch, batched=True, batch_size=32)
    for row in restored:
        print(row)
    return restored


if __name__ == "__main__":
    main()
