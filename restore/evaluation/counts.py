"""Counts of one document: everything that the scores are computed from.

Scores are ratios of sums over documents (micro-averages), so a document is kept as a row of numbers. Sums of rows
give every score, sums of resampled rows its interval, and two systems' rows a paired test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from restore.channel import Channel
from restore.evaluation.align import Pair, differences, match_tokens
from restore.evaluation.cases import CASES, case_class, number_text, same_casing
from restore.evaluation.classes import WORD_CLASSES, word_class
from restore.evaluation.marks import MARKS
from restore.evaluation.reading import Form, Reading, read
from restore.evaluation.whole import BLEU_ORDER, CHRF_ORDER, bleu_counts, chrf_counts, segments, word_errors

Row: TypeAlias = NDArray[np.float64]

FOUND = ("match", "system", "reference")
"""The three numbers behind precision, recall and F1."""


def _columns() -> Iterator[str]:
    yield "documents"
    yield "broken"
    for group in (
        "word",
        *(f"word.{name}" for name in WORD_CLASSES),
        *(f"mark.{name}" for name in MARKS),
        "sentence",
        "paragraph",
        "capital",
        "capital.inner",
        *(f"capital.{name}" for name in CASES[1:]),
    ):
        yield from (f"{group}.{which}" for which in FOUND)
    for group in ("gap", "gap.either", "gap.text", "cased", "cased.inner", "form", "form.inflected", "form.number"):
        yield f"{group}.right"
        yield f"{group}.total"
    yield from (f"case.{ours}.{theirs}" for ours in CASES for theirs in CASES)
    yield from ("token.lost", "token.invented", "token.changed", "token.reordered")
    yield from ("sentence.exact", "sentence.total", "wer.errors", "wer.words")
    yield from (f"chrf.{n}.{which}" for n in range(1, CHRF_ORDER + 1) for which in ("system", "reference", "match"))
    yield from ("bleu.system", "bleu.reference")
    yield from (f"bleu.{n}.match" for n in range(1, BLEU_ORDER + 1))
    yield from (f"bleu.{n}.total" for n in range(1, BLEU_ORDER + 1))
    yield from ("search.errors", "search.documents", "oracle.gaps", "oracle.gaps.total")
    yield from ("oracle.tokens", "oracle.tokens.total")


COLUMNS = tuple(_columns())
_PLACE = {name: place for place, name in enumerate(COLUMNS)}


def make_row(counts: Mapping[str, float]) -> Row:
    """Lay counts out as a row; columns that are not named are 0.

    Raises:
        KeyError: a name is no column.
    """
    row = np.zeros(len(COLUMNS))
    for name, value in counts.items():
        row[_PLACE[name]] = value
    return row


def count_document(original: str, restored: str, channel: Channel) -> Row:
    """Score one document: read both texts, align them, count."""
    ours, theirs = read(original, channel), read(restored, channel)
    counts: Counter[str] = Counter(documents=1)
    pairs, same = _align(ours, theirs, counts)
    count_gaps(ours, theirs, pairs, counts)
    _count_forms(ours, theirs, pairs, same, counts)
    _count_whole(segments(ours, theirs, pairs), counts)
    if not same:  # sentences that the system has lost are sentences all the same
        own = segments(ours, ours, [(place, place) for place in range(len(ours.forms))])
        counts["sentence.total"] = sum(bool(sentence) for sentence, _ in own)
    return make_row(counts)


def _align(ours: Reading, theirs: Reading, counts: Counter[str]) -> tuple[list[Pair], bool]:
    """Match the kept tokens; count what was lost, invented, changed, reordered. Returns whether all is well."""
    reference = [form.token for form in ours.forms]
    system = [form.token for form in theirs.forms]
    pairs = match_tokens(reference, system)
    same = len(pairs) == len(reference) == len(system)
    if not same:
        # A token that strips to something else but stands there as the input has it is not changed (`us`, from "uses").
        known = set(reference)
        system = [form.run if form.token not in known and form.run in known else form.token for form in theirs.forms]
        pairs = match_tokens(reference, system)
        wrong = differences(reference, system, pairs)
        counts["broken"] = 1
        counts["token.lost"], counts["token.invented"] = wrong.lost, wrong.invented
        counts["token.changed"], counts["token.reordered"] = wrong.changed, wrong.reordered
    return pairs, same


def regions(ours: Reading, theirs: Reading, pairs: Sequence[Pair]) -> Iterator[tuple[range, range]]:
    """Yield the gaps that answer each other: one to one but where tokens between were lost or invented."""
    i = j = 0
    for a, b in pairs:
        yield range(i, a + 1), range(j, b + 1)
        i, j = a + 1, b + 1
    yield range(i, len(ours.gaps)), range(j, len(theirs.gaps))


def count_gaps(ours: Reading, theirs: Reading, pairs: Sequence[Pair], counts: Counter[str]) -> None:
    """Count words, marks and breaks, gap by gap."""
    for left, right in regions(ours, theirs, pairs):
        count_region(ours, theirs, left, right, counts)


def count_region(ours: Reading, theirs: Reading, left: range, right: range, counts: Counter[str]) -> None:
    """Count words, marks and breaks of gaps that answer each other (see `regions`)."""
    words = [word for index in left for word in ours.gaps[index].words]
    found = [word for index in right for word in theirs.gaps[index].words]
    _count_words(words, found, counts)
    marks = Counter(mark for index in left for mark in ours.gaps[index].marks)
    given = Counter(mark for index in right for mark in theirs.gaps[index].marks)
    for mark in marks | given:
        _add(counts, f"mark.{mark}", marks[mark], given[mark])
    for name, wanted, have in (
        ("sentence", [len(ours.gaps[i].sentences) for i in left], [len(theirs.gaps[i].sentences) for i in right]),
        ("paragraph", [ours.gaps[i].paragraphs for i in left], [theirs.gaps[i].paragraphs for i in right]),
    ):
        if any(wanted) or any(have):
            _add(counts, name, sum(wanted), sum(have))
    counts["gap.total"] += len(left)
    counts["gap.text.total"] += len(left)
    if words or found:
        counts["gap.either.total"] += max(1, sum(bool(ours.gaps[index].words) for index in left))
    if len(left) == len(right) == 1 and words == found:
        counts["gap.right"] += 1
        counts["gap.either.right"] += bool(words)
        counts["gap.text.right"] += ours.gap_text(left[0]) == theirs.gap_text(right[0])


def _add(counts: Counter[str], group: str, reference: int, system: int) -> None:
    counts[f"{group}.match"] += min(reference, system)
    counts[f"{group}.reference"] += reference
    counts[f"{group}.system"] += system


def _count_words(reference: Sequence[str], system: Sequence[str], counts: Counter[str]) -> None:
    if not reference and not system:
        return
    for which, words in (
        ("reference", reference),
        ("system", system),
        ("match", [reference[i] for i, _ in match_tokens(reference, system)]),
    ):
        counts[f"word.{which}"] += len(words)
        for word in words:
            counts[f"word.{word_class(word)}.{which}"] += 1


def _count_forms(ours: Reading, theirs: Reading, pairs: Sequence[Pair], same: bool, counts: Counter[str]) -> None:
    """Count surface forms and capitals, token by token."""
    for i, j in pairs:
        form, other = ours.forms[i], theirs.forms[j]
        _count_form(form, form.text.lower() == other.text.lower(), counts)
        if any(map(str.isdigit, form.text)):
            counts["form.number.total"] += 1
            wanted = number_text(ours.text, form.start, form.end)
            counts["form.number.right"] += wanted.lower() == number_text(theirs.text, other.start, other.end).lower()
        _count_case(form, other, counts)
    if same:
        return
    matched = ({i for i, _ in pairs}, {j for _, j in pairs})
    for i, form in enumerate(ours.forms):
        if i not in matched[0]:
            _count_form(form, False, counts)
            counts["form.number.total"] += any(map(str.isdigit, form.text))
            _count_lone_case(form, "reference", counts)
    for j, form in enumerate(theirs.forms):
        if j not in matched[1]:
            _count_lone_case(form, "system", counts)


def _count_form(form: Form, right: bool, counts: Counter[str]) -> None:
    counts["form.total"] += 1
    counts["form.right"] += right
    if form.text.lower() != form.token.lower():
        counts["form.inflected.total"] += 1
        counts["form.inflected.right"] += right


def _count_case(form: Form, other: Form, counts: Counter[str]) -> None:
    ours, theirs = case_class(form.text), case_class(other.text)
    if not ours:
        return
    right = same_casing(form.text, other.text)
    counts[f"case.{ours}.{theirs or 'lower'}"] += 1
    inner = not (form.starts_sentence or other.starts_sentence)
    for suffix in ("", ".inner") if inner else ("",):
        counts[f"cased{suffix}.total"] += 1
        counts[f"cased{suffix}.right"] += right
        counts[f"capital{suffix}.reference"] += ours != "lower"
        counts[f"capital{suffix}.system"] += theirs not in ("lower", "")
        counts[f"capital{suffix}.match"] += ours != "lower" and right
    if ours != "lower":
        counts[f"capital.{ours}.reference"] += 1
        counts[f"capital.{ours}.match"] += ours == theirs
    if theirs not in ("lower", ""):
        counts[f"capital.{theirs}.system"] += 1


def _count_lone_case(form: Form, which: str, counts: Counter[str]) -> None:
    """Count the case of a token that the other side lacks: never right."""
    case = case_class(form.text)
    if not case:
        return
    for suffix in ("",) if form.starts_sentence else ("", ".inner"):
        counts[f"cased{suffix}.total"] += which == "reference"
        counts[f"capital{suffix}.{which}"] += case != "lower"
    if case != "lower":
        counts[f"capital.{case}.{which}"] += 1


def _count_whole(pairs: Sequence[tuple[str, str]], counts: Counter[str]) -> None:
    """Count what concerns the whole text, sentence by sentence."""
    chrf = np.zeros(3 * CHRF_ORDER)
    for reference, system in pairs:
        if reference:
            counts["sentence.total"] += 1
            counts["sentence.exact"] += reference == system
        words = reference.split()
        counts["wer.words"] += len(words)
        counts["wer.errors"] += 0 if reference == system else word_errors(words, system.split())
        chrf += chrf_counts(reference, system)
    names = [f"chrf.{n}.{which}" for n in range(1, CHRF_ORDER + 1) for which in ("system", "reference", "match")]
    counts.update(dict(zip(names, map(int, chrf), strict=True)))
    bleu = bleu_counts(pairs)
    if bleu is not None:
        names = ["bleu.system", "bleu.reference"]
        names += [f"bleu.{n}.{which}" for which in ("match", "total") for n in range(1, BLEU_ORDER + 1)]
        counts.update(dict(zip(names, bleu, strict=True)))
