"""Each fuzzing target for a moment; `RESTORE_FUZZ_SECONDS=60 pytest tests/test_fuzz.py` for longer ones."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent / "fuzz"
SECONDS = float(os.environ.get("RESTORE_FUZZ_SECONDS", "1"))

if sys.platform != "linux":
    pytest.skip("the limits of time and memory are Linux's: run it there", allow_module_level=True)
sys.path.insert(0, str(HERE))
import run  # noqa: E402
from targets import TARGETS  # noqa: E402

sys.path.remove(str(HERE))


def test_every_target_has_seeds() -> None:
    assert {path.name for path in run.CORPUS.iterdir()} == set(TARGETS)
    assert sum(path.stat().st_size for path in run.CORPUS.rglob("*")) < 200_000


@pytest.mark.parametrize("name", TARGETS)
def test_target(name: str) -> None:
    if name == "batch":
        pytest.importorskip("pyarrow")
        pytest.importorskip("zstandard")
    if name == "page":
        pytest.importorskip("restore.render.page")
    with TARGETS[name]() as check:
        count, found = run.fuzz(check, run.seeds_of(name), SECONDS, random.randrange(1 << 30))
        if found is not None:
            check(found)
            raise AssertionError(found)
        assert count >= len(run.seeds_of(name))
