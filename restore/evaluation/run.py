"""Run a system over texts and score it: strip, restore, count."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from restore.channel import Channel, get_channel
from restore.errors import InputError
from restore.evaluation.counts import Row, count_document, make_row
from restore.evaluation.documents import NO_DOCUMENTS, read_originals, read_outputs, select
from restore.evaluation.iwslt import Window, check_channel, count_window, cut_windows, is_iwslt, read_iwslt
from restore.evaluation.result import Result, make_result
from restore.evaluation.signature import data_checksum, make_signature
from restore.evaluation.systems import ReferenceScore, System

MIXED = "{path}: some of the files are in the IWSLT format and some are not; score them apart"
NO_HYPOTHESES = "{path}: ready-made outputs cannot be scored on the IWSLT format; give an engine"

SEARCH_MARGIN = 1e-3
"""Nats by which the original must beat the output to make it a search error: less is rounding."""

Progress = Callable[[int, int], None]
"""Called with the numbers of documents done and in all."""


@dataclass(frozen=True)
class Options:
    """What is scored, and how.

    Attributes:
        channel: how the texts are stripped.
        half: `odd` documents of each file (to choose by), `even` ones (to report), or `all`.
        limit: at most so many documents of each file.
        limit_tokens: at most so many tokens of each file in the IWSLT format.
        seed: the seed of the resampling.
        search_errors: whether to ask the engine about search errors and oracle recall, which takes time.
        beam: the engine's beam, None for its own default; for the signature.
    """

    channel: str | Channel = "nltk"
    half: str = "all"
    limit: int | None = None
    limit_tokens: int | None = None
    seed: int = 0
    search_errors: bool = True
    beam: int | None = None


@dataclass
class _Clock:
    """How long a system took, and how many words it wrote."""

    seconds: float = 0.0
    words: int = 0

    def time(self, outputs: Iterator[str]) -> Iterator[str]:
        while True:
            start = time.perf_counter()
            try:
                text = next(outputs)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - start
            self.words += len(text.split())
            yield text

    def measures(self) -> dict[str, float]:
        rate = self.words / self.seconds if self.seconds else float("nan")
        return {"words_per_second": rate, "seconds": self.seconds, "peak_memory_mb": peak_memory()}


def peak_memory() -> float:
    """Return the most memory that this process has held so far, in MB (10^6 bytes); not-a-number if unknown."""
    with suppress(OSError, IndexError, ValueError):  # Linux; what getrusage knows includes what the parent held
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def evaluate(
    files: Sequence[Path], system: System, options: Options | None = None, progress: Progress | None = None
) -> Result:
    """Strip the documents of some files, have a system restore them, and score what it wrote.

    Args:
        files: original texts, or files in the IWSLT format.
        system: what restores them; see `make_system`.
        options: what is scored, and how.
        progress: called as documents are done.

    Raises:
        InputError: a file cannot be read, holds nothing to score, or does not go with the channel.
    """
    options = options or Options()
    channel = get_channel(options.channel)
    listed = [is_iwslt(path) for path in files]
    if any(listed):
        if not all(listed):
            raise InputError(MIXED.format(path=files[listed.index(False)]))
        return _evaluate_iwslt(files, system, options, channel, progress)
    originals = read_originals(files, options.half, options.limit)
    stripped = [channel.strip(original) for original in originals]
    clock, name = _Clock(), system.name  # the name loads the system: loading is not timed
    rows = []
    for index, text in enumerate(clock.time(system.outputs(stripped))):
        row = count_document(originals[index], text, channel)
        if options.search_errors:
            _count_reference(row, system, stripped[index], originals[index])
        rows.append(row)
        _tell(progress, index + 1, len(originals))
    return _result(rows, originals, channel, name, options, clock.measures())


def evaluate_outputs(files: Sequence[Path], outputs: Path, name: str, options: Options | None = None) -> Result:
    """Score ready-made outputs.

    Args:
        files: original texts.
        outputs: a file with one output for each document, closed by a line `%%%`.
        name: what wrote them, for the signature, where a checksum of the outputs follows it.
        options: what is scored, and how.

    Raises:
        InputError: a file cannot be read, or the numbers differ.
    """
    options = options or Options()
    channel = get_channel(options.channel)
    if any(map(is_iwslt, files)):
        raise InputError(NO_HYPOTHESES.format(path=outputs))
    originals = read_originals(files, options.half, options.limit)
    texts = read_outputs(outputs, files, options.half, options.limit)
    rows = [count_document(original, text, channel) for original, text in zip(originals, texts, strict=True)]
    return _result(rows, originals, channel, f"{name}-{data_checksum(texts)[:12]}", options, {})


def _evaluate_iwslt(
    files: Sequence[Path], system: System, options: Options, channel: Channel, progress: Progress | None
) -> Result:
    windows: list[Window] = []
    for path in files:
        check_channel(path, channel)
        windows += select(cut_windows(read_iwslt(path, options.limit_tokens)), options.half, options.limit)
    if not windows:
        raise InputError(NO_DOCUMENTS.format(files=", ".join(map(str, files))))
    clock, name = _Clock(), system.name
    rows = []
    texts = clock.time(system.outputs(channel.strip(window.text) for window in windows))
    for index, text in enumerate(texts):
        rows.append(count_window(windows[index], text, channel))
        _tell(progress, index + 1, len(windows))
    # The marks are part of the data that the checksum names.
    lines = (f"{word.text}\t{word.mark}" for window in windows for word in window.words)
    return _result(rows, lines, channel, name, options, clock.measures())


def _count_reference(row: Row, system: System, stripped: str, original: str) -> None:
    found = system.score_reference(stripped, original)
    if found is not None:
        row += make_row(reference_counts(found))


def reference_counts(found: ReferenceScore) -> dict[str, float]:
    """Return what an engine says of an original as counts, by the name of their column."""
    return {
        "oracle.gaps": found.gaps_reachable,
        "oracle.gaps.total": found.gaps_total,
        "oracle.tokens": found.tokens_reachable,
        "oracle.tokens.total": found.tokens_total,
        "search.documents": found.reference_score is not None,
        "search.errors": _is_search_error(found),
    }


def _is_search_error(found: ReferenceScore) -> bool:
    return found.reference_score is not None and found.reference_score > found.output_score + SEARCH_MARGIN


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


def _result(
    rows: Sequence[Row],
    texts: Iterable[str],
    channel: Channel,
    engine: str,
    options: Options,
    measures: dict[str, float],
) -> Result:
    signature = make_signature(
        texts,
        channel,
        engine,
        documents=len(rows),
        half=options.half,
        limit=options.limit,
        limit_tokens=options.limit_tokens,
        seed=options.seed,
        beam=options.beam,
        **({} if options.search_errors else {"search_errors": "not asked"}),
    )
    return make_result(rows, signature, measures, seed=options.seed)
