"""Fixtures that several test files share."""

from __future__ import annotations

import os
import signal
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import settings

from restore import Restorer
from restore.models.base import Encoded, Expansion, Request, Window
from restore.units import segment

os.environ.setdefault("RESTORE_ENGINE", "fast")  # most tests are about what holds for every engine
for _name in ("FORCE_COLOR", "NO_COLOR"):
    os.environ.pop(_name, None)
settings.register_profile("untimed", deadline=None)  # how long a test takes is no matter of tests
settings.load_profile("untimed")
os.environ["COLUMNS"] = "100"  # the terminal that tests are run in is no matter

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def seed_text() -> str:
    return (ROOT / "examples" / "immigration_stripped.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def fast() -> Restorer:
    return Restorer(engine="fast")


@pytest.fixture
def hear_signals() -> Callable[[], None]:
    """What a new process calls first, to ignore no signal that whoever runs the tests ignores (nohup, a shell's background)."""

    def hear() -> None:
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)

    return hear


class ChanceModel:
    """A language model that likes things by chance, but always the same things: it finds odd paths in the lattice."""

    def __init__(self, seed: int, window: Window | None = None) -> None:
        self._seed = seed
        self._window = window

    @property
    def name(self) -> str:
        return f"chance:{self._seed}"

    @property
    def window(self) -> Window | None:
        return self._window

    @property
    def merges_marks(self) -> bool:
        return self._window is not None

    @property
    def streams(self) -> tuple[ChanceModel, ...]:
        return (self,)

    @property
    def takes_runs(self) -> bool:
        return False

    def begin(self, source: Sequence[str], prefix: str = "") -> int:
        return zlib.crc32(prefix.encode())

    def encode(self, text: str, *, initial: bool, touched: bool, logprob: float) -> Encoded | None:
        return Encoded(tuple(zlib.crc32(unit.encode()) for unit in segment(text)))

    def expand(self, requests: Sequence[Request]) -> list[Expansion]:
        expansions = []
        for request in requests:
            state = request.state if request.pending is None else request.pending
            insertions: list[tuple[int, float]] = []
            forms: list[float] = []
            if request.insertions is not None:
                scored = [(child, self._like(state, piece)) for child, piece in enumerate(request.insertions.ids)]
                insertions = sorted(scored, key=lambda pair: -pair[1])[: request.best]
            if request.forms is not None:
                forms = [self._like(state, piece) for piece in request.forms.ids]
            expansions.append(Expansion(state, insertions, forms))
        return expansions

    def key(self, state: int, pending: int | None) -> int:
        return state if pending is None else pending

    def _like(self, state: int, piece: int) -> float:
        return -((state * 31 + int(piece) * 17 + self._seed * 101) % 1009) / 100


class ShyModel(ChanceModel):
    """Would rather write any words than a closing quotation mark."""

    def encode(self, text: str, *, initial: bool, touched: bool, logprob: float) -> Encoded | None:
        return Encoded((zlib.crc32(text.encode()) | (('"' in text) << 40),))

    def _like(self, state: int, piece: int) -> float:
        return -15.0 if int(piece) >> 40 else super()._like(state, piece) / 100 - 1


@pytest.fixture
def shy() -> Restorer:
    """A restorer whose model hardly ever closes a quotation."""
    restorer = Restorer(engine="fast", repair=False)
    restorer.__dict__["_model"] = ShyModel(3, Window(2, 300, 2))
    return restorer


class ChanceRestorer(Restorer):
    """A restorer with a model of chance, so that tests of the promise depend on no weights."""

    @property
    def _model(self) -> ChanceModel:  # type: ignore[override]
        return ChanceModel(7, Window(2, 3, 2, parts=3) if self.config.beam == 2 else None)


@pytest.fixture(scope="session")
def by_chance() -> Callable[[str, int], Restorer]:
    """Make a restorer for a channel and a beam; one of two hypotheses cuts its texts into windows."""
    return lru_cache(maxsize=None)(lambda channel, beam: ChanceRestorer(channel=channel, beam=beam, repair=False))
