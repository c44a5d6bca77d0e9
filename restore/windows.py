"""Windows: how a long text is cut for a model that sees a part of it at a time, and where the parts are joined.

The text's first window is short, so that the first prose is soon there. With it, and later in blocks of their own, come
others, for some models several that are searched in step. The first of a later block goes on from the text restored before
it; each other begins on its own, some tokens early, and the window before it goes on some tokens late:

    tokens     ──────────────┬───────────────────┬──────────────────
    window 0   ──────────────┼─────┤
    window 1            ├────┼───────────────────┼─────┤
    window 2                                ├────┼──────────────────
                   LEAD ├────┼─────┤ TAIL

Where both have found the same, within the tokens that both have, the text passes from one to the other. Where they have not,
as where only one is inside a quotation, a *bridge* is searched: a window that goes on from the text before to where it may pass
to the other after all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from restore.decoder import Step
from restore.lattice.forms import Form
from restore.lattice.gaps import ENDED
from restore.models.base import Window
from restore.source import TokenStream

LEAD = 6
"""Input tokens by which a window begins early: what it finds there is thrown away."""
TAIL = 6
"""Input tokens by which a window goes on late."""
EDGE = 3
"""The last of these are not to be trusted either."""


@dataclass(frozen=True, slots=True)
class Span:
    """The input tokens of one window, by number.

    Attributes:
        start: the first that is searched.
        own: the first that the window is to restore: later than `start` where it begins on its own.
        upto: the one after the last that it is to restore.
        stop: the one after the last that is searched.
        seen: the one after the last that the model is shown.
        last: whether the text ends there.
    """

    start: int
    own: int
    upto: int
    stop: int
    seen: int
    last: bool


@dataclass(frozen=True, slots=True)
class Path:
    """What was found for the input tokens from `start` on."""

    start: int
    steps: list[Step]

    def cuts(self) -> dict[int, int]:
        """Return how many steps it is to the end of the form before each input token."""
        found, token = {}, self.start
        for number, step in enumerate(self.steps, 1):
            if isinstance(step.what, Form):
                token += step.what.span
                found[token] = number
        return found


def breadth(tokens: TokenStream, window: Window | None) -> int:
    """Return how many windows of a text are searched in step, at most.

    Args:
        tokens: the input.
        window: what the model takes, or None if it takes any text whole.
    """
    if window is None:
        return 1
    block = spans(tokens, 0, window)
    if block[-1].last:
        return len(block)
    start = block[-1].upto
    rest = tokens.upto(start + window.parts * window.width) - start
    return max(len(block), _parts(rest, window))


def spans(tokens: TokenStream, start: int, window: Window, inside: bool = False) -> list[Span]:
    """Return the windows to search next, in step.

    Those of a text that one window could hold are equally wide; a longer text has a short one first.

    Args:
        tokens: the input.
        start: the first token that is not yet restored.
        window: what the model takes.
        inside: whether a quotation or bracket is open there: a window that begins on its own could not know of it.
    """
    end = tokens.upto(start + window.most)
    narrow = 0 < 2 * window.least <= end - start
    whole = tokens.upto(end + 1) == end
    if whole and (inside or not narrow):
        return [Span(start, start, end, end, end, True)]
    if inside or window.parts == 1:
        width = min(window.first, window.width) if start == 0 else window.width
        return _block(tokens, start, start, replace(window, parts=1, width=width))
    if start == 0 and not whole:
        first = _span(tokens, 0, 0, min(window.first, window.width), TAIL, window)
        return [first, *_block(tokens, 0, first.upto, replace(window, parts=window.parts - 1))]
    return _block(tokens, start, start, window)


def resumed(tokens: TokenStream, start: int, found: Sequence[tuple[Span, Path]], window: Window) -> list[Span]:
    """Return the windows to go on with where the text could not pass to the next: a bridge, and those that it leads to.

    Args:
        tokens: the input.
        start: the first token that is not yet restored.
        found: the windows that are searched already and not yet part of the text, with their paths; at least one.
        window: what the model takes.

    Returns:
        The bridge, and the last of the windows found, the first of them with the token from which it is to restore now. None
        where it is best to search all anew: a bridge is no wider than a window that began early.
    """
    (span, path), *others = found
    cuts = path.cuts()
    closed = [token for token in cuts if token >= span.own + TAIL and not any(opened(path.steps[cuts[token] - 1]))]
    if closed and closed[0] + TAIL < span.upto:
        kept = [replace(span, own=closed[0]), *(one for one, _ in others)]
    else:
        kept = [one for one, _ in others]
    # Where no sentence has ended for long, it would be wider than what models are trained on.
    if not kept or kept[0].own - start > LEAD + window.width:
        return []
    return [_span(tokens, start, start, kept[0].own, TAIL, window), *kept]


def _parts(rest: int, window: Window) -> int:
    """Return into how many windows so many tokens are cut."""
    most = rest // window.least if window.least else 0
    return min(window.parts, max(-(-rest // window.width), most))


def _block(tokens: TokenStream, earliest: int, start: int, window: Window) -> list[Span]:
    """Return windows in step that restore the tokens from `start` on, and begin no earlier than they are told."""
    rest = tokens.upto(start + window.parts * window.width) - start
    whole = tokens.upto(start + rest + 1) == start + rest  # the block reaches the end of the text
    parts = _parts(rest, window)
    edges = [start + rest * number // parts for number in range(parts + 1)]
    found = []
    for number, (own, upto) in enumerate(pairwise(edges)):
        begin = max(earliest, own - LEAD)
        if number == parts - 1:
            if whole:
                found.append(Span(begin, own, upto, upto, upto, True))
            else:
                found.append(_span(tokens, begin, own, upto, window.ahead, window))
        else:
            found.append(_span(tokens, begin, own, upto, TAIL, window))
    return found


def _span(tokens: TokenStream, start: int, own: int, upto: int, late: int, window: Window) -> Span:
    stop = tokens.upto(upto + late)
    return Span(start, own, upto, stop, tokens.upto(stop + window.shown), False)


def seam(one: Path, other: Path, own: int, upto: int) -> int | None:
    """Return the input token before which a text passes from one path to the next, or None if it cannot.

    Both must stand at the same position of the grammar there, with the same quotations and brackets open. Best is where both
    end a sentence, then where most of what is around is the same.

    Args:
        one: the path that goes on late.
        other: the path that began early.
        own: the token from which the other is to restore.
        upto: the one up to which it is.
    """
    first, second = one.cuts(), other.cuts()
    best: tuple[tuple[bool, int, int], int] | None = None
    for token in range(own, min(own + TAIL - EDGE + 1, upto)):
        if token not in first or token not in second:
            continue
        here, there = first[token], second[token]
        before, after = one.steps[here - 1], other.steps[there - 1]
        if before.position != after.position:
            continue
        ends = _ends(one.steps, here) and _ends(other.steps, there)
        worth = (ends, _alike(one.steps, here, other.steps, there), -abs(token - own - (TAIL - EDGE) // 2))
        if best is None or worth > best[0]:
            best = worth, token
    return None if best is None else best[1]


def sentence_cut(path: Path, start: int, upto: int) -> int:
    """Return the input token after the last sentence that a path ends before `upto`.

    Where no sentence ends, the cut is at `upto`. It falls right after a form, so that the next window decides
    with more to look ahead at what comes in the gap.

    Args:
        path: what was found.
        start: the first token that is not yet restored.
        upto: the token up to which the path is to restore.
    """
    cuts = path.cuts()
    later = [token for token in cuts if token > start]
    within = [token for token in later if token <= upto] or later[:1]
    return ([token for token in within if _ends(path.steps, cuts[token])] or within)[-1]


def since_end(steps: Sequence[Step]) -> int:
    """Return how many input tokens there are since the last sentence end."""
    tokens = 0
    for step in reversed(steps):
        if step.position.place in ENDED:
            break
        if isinstance(step.what, Form):
            tokens += step.what.span
    return tokens


def opened(step: Step) -> tuple[bool, bool]:
    """Tell whether a bracket and a quotation are open after a step."""
    return bool(step.position.bracket), bool(step.position.quote)


def _ends(steps: Sequence[Step], number: int) -> bool:
    """Tell whether a sentence ends in the gap after so many steps."""
    for step in steps[number:]:
        if isinstance(step.what, Form):
            return False
        if step.position.place in ENDED:
            return True
    return False


def _alike(one: Sequence[Step], here: int, other: Sequence[Step], there: int, around: int = 6) -> int:
    """Return how many steps in a row are the same, before two places and after them."""
    same = 0
    for near, far in zip(one[here : here + around], other[there : there + around], strict=False):
        if near.text != far.text:
            break
        same += 1
    for near, far in zip(reversed(one[max(0, here - around) : here]), reversed(other[max(0, there - around) : there]),
                         strict=False):  # fmt: skip
        if near.text != far.text:
            break
        same += 1
    return same
