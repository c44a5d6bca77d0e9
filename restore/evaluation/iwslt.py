"""The IWSLT punctuation format: `token<TAB>label` a line, all words there, their marks to be found.

    we      O
    do      O
    n't     O
    know    PERIOD

The label names the mark that follows: COMMA (colon and dash too), PERIOD (`!` and `;` too), QUESTION or O. Words are
cut as in the Penn Treebank (`do` `n't`, `it` `'s`): they are joined, and the mark counts after the last piece.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from restore.channel import Channel
from restore.errors import InputError
from restore.evaluation.align import match_tokens
from restore.evaluation.counts import Row, make_row
from restore.evaluation.reading import read

LABELS = ("O", "COMMA", "PERIOD", "QUESTION")
WINDOW = 1000
"""Words of one document."""
LOOKAHEAD = 50
"""Words that a system reads beyond the window it is scored on, as the text goes on there."""

BAD_LINE = "{path}, line {number}: {line!r} is not `token<TAB>label` with a label of {labels}"
UNREADABLE = "{path}: {why}; give a UTF-8 file of `token<TAB>label` lines"
DROPS_WORDS = "{path}: in this format every word stays, but channel {channel!r} drops or changes some; use transcript"

_PIECES = ("n't", "'s", "'re", "'m", "'ll", "'ve", "'d")
_MARK_OF = {
    "question": "question", "stop": "stop", "semicolon": "stop", "ellipsis": "stop",
    "comma": "comma", "colon": "comma", "dash": "comma",
}  # fmt: skip
_LABEL_MARK = {"COMMA": "comma", "PERIOD": "stop", "QUESTION": "question", "O": ""}
_STRENGTH = ("", "comma", "stop", "question")


@dataclass(frozen=True, slots=True)
class Word:
    """A word and the class of the mark after it (`comma`, `stop`, `question`), empty for none."""

    text: str
    mark: str


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of words to be restored at once.

    Attributes:
        words: the words, lookahead included.
        scored: how many of them are scored.
    """

    words: Sequence[Word]
    scored: int

    @property
    def text(self) -> str:
        """The words without marks."""
        return " ".join(word.text for word in self.words)


def is_iwslt(path: Path) -> bool:
    """Tell by its first line whether a file is in this format."""
    try:
        with path.open("rb") as stream:
            parts = stream.readline(4096).rstrip(b"\r\n").split(b"\t")
    except OSError:
        return False
    return len(parts) == 2 and parts[1].decode("ascii", "replace") in LABELS


def read_iwslt(path: Path, limit: int | None = None) -> list[Word]:
    """Read a file, up to `limit` tokens, its pieces joined to words.

    Raises:
        InputError: it cannot be read, or a line is not in the format.
    """
    words: list[Word] = []
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if limit is not None and number > limit:
                    break
                token, _, label = line.rstrip("\r\n").partition("\t")
                if label not in LABELS:
                    shown = ", ".join(LABELS)
                    raise InputError(BAD_LINE.format(path=path, number=number, line=line[:60].rstrip(), labels=shown))
                mark = _LABEL_MARK[label]
                if token in _PIECES and words:
                    words[-1] = Word(words[-1].text + token, mark)
                else:
                    words.append(Word(token, mark))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(UNREADABLE.format(path=path, why=getattr(error, "strerror", None) or error)) from error
    return words


def cut_windows(words: Sequence[Word], size: int = WINDOW, lookahead: int = LOOKAHEAD) -> Iterator[Window]:
    """Cut words into windows; each is scored on its first `size` words only."""
    for start in range(0, len(words), size):
        yield Window(words[start : start + size + lookahead], min(size, len(words) - start))


def check_channel(path: Path, channel: Channel) -> None:
    """Make sure that a channel keeps every word.

    Raises:
        InputError: it does not.
    """
    if channel.stop_words or channel.map != "none" or channel.min_length > 1 or not channel.numbers:
        raise InputError(DROPS_WORDS.format(path=path, channel=channel.name))


def label_of(marks: Sequence[str]) -> str:
    """Return the class that the marks of one gap amount to: the strongest of question, stop, comma.

    >>> label_of(["dash"]), label_of(["comma", "quote"]), label_of(["quote"]), label_of(["stop", "question"])
    ('comma', 'comma', '', 'question')
    """
    return max((_MARK_OF.get(mark, "") for mark in marks), key=_STRENGTH.index, default="")


def count_window(window: Window, restored: str, channel: Channel) -> Row:
    """Score one restored window: marks after tokens."""
    wanted, scored = _wanted(window, channel)
    reading = read(restored, channel)
    pairs = match_tokens([token for token, _ in wanted], [form.token for form in reading.forms])
    counts: Counter[str] = Counter(documents=1)
    counts["broken"] = not len(pairs) == len(wanted) == len(reading.forms)
    place = dict(pairs)
    for index in range(scored):
        mark = wanted[index][1]
        given = label_of(reading.gaps[place[index] + 1].marks) if index in place else ""
        if mark:
            counts[f"mark.{mark}.reference"] += 1
        if given:
            counts[f"mark.{given}.system"] += 1
            counts[f"mark.{given}.match"] += mark == given
    return make_row(counts)


def _wanted(window: Window, channel: Channel) -> tuple[list[tuple[str, str]], int]:
    """Return the window's tokens, each with the mark after it, and how many of them are scored."""
    tokens: list[tuple[str, str]] = []
    scored = 0
    for number, word in enumerate(window.words, 1):
        tokens += [(token.text, "") for token in channel.iterate(word.text)]
        if word.mark and tokens:  # a word without tokens hands its mark on to the one before
            text, before = tokens[-1]
            tokens[-1] = (text, max(before, word.mark, key=_STRENGTH.index))
        if number == window.scored:
            scored = len(tokens)
    return tokens, scored
