"""The examples for tables run, and give what `Restorer` gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from restore import Restorer, strip_text

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPT = """
import runpy, sys
table = runpy.run_path(sys.argv[1])["main"]()
print("RESTORED", *[text for text in table["restored"] if isinstance(text, str) and text], sep="\\n")
"""


@pytest.mark.parametrize(("name", "package"), [("pandas_table", "pandas"), ("hugging_face_datasets", "datasets")])
def test_example(name: str, package: str, fast: Restorer, tmp_path: Path) -> None:
    pytest.importorskip(package)
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_DATASETS_OFFLINE": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-c", SCRIPT, EXAMPLES / f"{name}.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    given = [
        "u immigration official routinely deport non citizen felony drug conviction",
        "court ruled tuesday law unconstitutional",
    ]
    restored = done.stdout.partition("RESTORED\n")[2].splitlines()
    assert restored == [fast.restore(text).text for text in given]
    assert [strip_text(text) for text in restored] == given
