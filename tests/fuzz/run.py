"""Fuzz one target: `python tests/fuzz/run.py TARGET --seconds 60`, or repeat a find: `... TARGET FILE`.

Inputs are seeds from `corpus/TARGET/`, changed at random; an input that fails is kept as a file, and the run ends with status
1. Each input may take some seconds and some memory, no more: a hang or a swelling is a find like any other. `--guided`
looks for inputs that reach new code, with atheris (pip install atheris), which finds more and is slower to start.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parent))

from mutate import mutate

CORPUS = Path(__file__).resolve().parent / "corpus"
SECONDS = 10.0
"""How long one input may take, in processor time: other work on the machine is no hang."""
WAIT = 12 * SECONDS
"""How long it may take by the clock."""
MEMORY = 2_000_000_000
"""How many bytes an input may take beyond what was there when the target was ready."""

Check = Callable[[bytes], None]


class HangError(BaseException):
    """An input took too long. No `Exception`, so that nothing on the way takes it for its own."""


@contextmanager
def limits() -> Iterator[None]:
    """Bound the memory of this process while inside."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def try_input(check: Check, data: bytes) -> BaseException | None:
    """Return what went wrong with an input, or None."""

    def hang(number: int, frame: FrameType | None) -> None:
        raise HangError(f"more than {SECONDS} s of processor time, or {WAIT} s")

    before = {number: signal.signal(number, hang) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WAIT)
    try:
        check(data)
    except (Exception, HangError) as error:
        return error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
    return None


def fuzz(check: Check, seeds: Sequence[bytes], seconds: float, seed: int) -> tuple[int, bytes | None]:
    """Try inputs for some seconds of processor time; return how many, and the one that failed."""
    chance = random.Random(seed)
    end = time.process_time() + seconds
    count = 0
    with limits():
        for data in seeds:
            count += 1
            if try_input(check, data) is not None:
                return count, data
        while time.process_time() < end:
            data = mutate(chance.choice(seeds), seeds, chance)
            count += 1
            if try_input(check, data) is not None:
                return count, data
    return count, None


def guided(check: Check, seeds: Sequence[bytes], seconds: int, seed: int, finds: Path) -> None:
    """Hand over to atheris, which ends the process itself."""
    import atheris  # type: ignore[import-not-found]

    corpus = finds / "seeds"
    corpus.mkdir(parents=True, exist_ok=True)
    for data in seeds:
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    options = [f"-max_total_time={seconds}", f"-seed={seed}", f"-timeout={int(SECONDS)}", f"-artifact_prefix={finds}/"]
    largest = 2 * max(map(len, seeds))
    atheris.Setup([sys.argv[0], *options, f"-max_len={largest}", "-rss_limit_mb=4096", str(corpus)], check)
    atheris.Fuzz()


def seeds_of(name: str) -> list[bytes]:
    """Return a target's seeds, in order. Large ones are packed."""
    paths = sorted((CORPUS / name).iterdir())
    return [gzip.decompress(path.read_bytes()) if path.suffix == ".packed" else path.read_bytes() for path in paths]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("target")
    parser.add_argument("files", nargs="*", type=Path, help="inputs to repeat, in place of fuzzing")
    parser.add_argument("--seconds", type=float, default=60, help="of processor time")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--finds", type=Path, default=Path("finds"), help="where inputs that fail are kept")
    parser.add_argument("--guided", action="store_true")
    options = parser.parse_args(arguments)

    if options.guided:
        import atheris

        with atheris.instrument_imports(include=["restore"]):
            from targets import TARGETS
    else:
        from targets import TARGETS
    if options.target not in TARGETS:
        parser.error(f"there is no target {options.target!r}; there are {', '.join(TARGETS)}")
    with TARGETS[options.target]() as check:
        if options.files:
            failed = [path for path in options.files if tell(path, try_input(check, path.read_bytes()))]
            return 1 if failed else 0
        seeds = seeds_of(options.target)
        if options.guided:
            guided(check, seeds, int(options.seconds), options.seed, options.finds)
        began = time.monotonic()
        count, found = fuzz(check, seeds, options.seconds, options.seed)
        spent = f"{time.monotonic() - began:.0f} s ({time.process_time():.0f} s of processor time)"
        print(f"{options.target}: {count:,} inputs in {spent}, seed {options.seed}", flush=True)  # noqa: T201
        if found is None:
            return 0
        options.finds.mkdir(parents=True, exist_ok=True)
        path = options.finds / f"{options.target}-{hashlib.sha256(found).hexdigest()[:8]}"
        path.write_bytes(found)
        tell(path, try_input(check, found) or AssertionError("it did not fail again"))
        return 1


def tell(path: Path, error: BaseException | None) -> bool:
    """Print what went wrong with an input."""
    if error is not None:
        traceback.print_exception(error)
        print(f"{os.fspath(path)}: {type(error).__name__}", flush=True)  # noqa: T201
    return error is not None


if __name__ == "__main__":
    sys.exit(main())
