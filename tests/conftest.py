"""Fixtures that several test files share."""

from __future__ import annotations

from pathlib import Path

import pytest

from restore import Restorer

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def seed_text() -> str:
    return (ROOT / "examples" / "immigration_stripped.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def fast() -> Restorer:
    return Restorer(engine="fast")
