"""Restore a column of a pandas table.

    pip install . pandas
    python examples/pandas_table.py

For tables that do not fit into memory, or that take hours, use `restore batch`.
"""

from __future__ import annotations

import pandas as pd

from restore import Restorer


def main() -> pd.DataFrame:
    """Restore a small table and print it."""
    table = pd.DataFrame(
        {
            "id": [101, 102, 103],
            "stripped": [
                "u immigration official routinely deport non citizen felony drug conviction",
                "court ruled tuesday law unconstitutional",
                None,
            ],
        }
    )

    restorer = Restorer(engine="fast")  # holds the model: make it once
    given = table["stripped"].dropna()
    results = pd.Series(list(restorer.restore_many(given)), index=given.index)

    table["restored"] = results.map(lambda result: result.text)
    table["confidence"] = results.map(lambda result: result.confidence)
    table["inserted"] = results.map(lambda result: sum(edit.kind == "inserted" for edit in result.edits))
    print(table.to_string())
    return table


if __name__ == "__main__":
    main()
