"""Abstention: leave out what is too unsure, and keep the text sound.

What is left out of a gap changes what may stand beside it: after a dropped full stop no capital follows, a closing
bracket needs its opening one, two commas do not meet. So what remains is walked through the grammar of gaps again
(`restore.lattice.gaps`), which gives each insertion the spacing and capital of its new place and takes out what may not
stand there. The outcome is a path through the same lattice, and strips back to the input like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from restore.decisions import Decision, Rate, of_insertion
from restore.decoder import Decoder, after_form, left_of
from restore.lattice.forms import Form, capitalised
from restore.lattice.gaps import MAX_INSERTIONS, Insertion, Place, Position, Side
from restore.posterior import Choice
from restore.source import TokenStream

Drop = Callable[[Decision], bool]
"""Says whether to leave an insertion out."""

_ENCLOSING = str.maketrans("", "", '"()')


KEPT = (
    "less sure than {threshold:g}, and not left out: {count} of the marks that end sentences, which would run together without "
    "them (--json lists each)"
)


class LessSure:
    """The rule of `Config.min_confidence`: leave out what is below it, but for marks that end sentences.

    Without its full stop a sentence runs into the next: such a mark stays, and the result flags it as uncertain.

    Args:
        threshold: the least confidence.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._kept = 0

    def __call__(self, decision: Decision) -> bool:
        """Tell whether to leave an insertion out."""
        unsure = decision.confidence is not None and decision.confidence < self._threshold
        stays = decision.kind == "sentence"
        self._kept += unsure and stays
        return unsure and not stays

    def notes(self) -> tuple[str, ...]:
        """Say how many marks stayed that are less sure than asked for."""
        return (KEPT.format(count=self._kept, threshold=self._threshold),) if self._kept else ()


class Abstainer:
    """Takes the units of a reading one by one and gives back those that stay, fitted to each other.

    A bracket or quotation mark that closes goes with the one that opened, and a clitic (`'s`) goes with the dropped word
    before it.

    Args:
        decoder: knows the grammar and the forms.
        tokens: the input.
        drop: says what to leave out.
        rate: turns posteriors into probabilities.
    """

    def __init__(self, decoder: Decoder, tokens: TokenStream, drop: Drop, rate: Rate | None) -> None:
        self._decoder = decoder
        self._tokens = tokens
        self._drop = drop
        self._rate = rate
        self._gap: list[tuple[Insertion, Choice | None]] = []
        self._index = 0  # the next input token
        self._was = self._now = Position()  # in the reading as it was, and as it is without what was dropped
        self._left = Side.NONE
        self._closers: dict[str, bool] = {}  # for each kind of pair that is open, whether it is dropped

    def settled(self, units: Iterable[Insertion | Form], choices: Sequence[Choice]) -> Iterator[Insertion | Form]:
        """Take a stretch of a reading, which ends after a form or at the end of the text; yield what is settled of it.

        Args:
            units: the stretch.
            choices: what there was to choose from in it, one for each of its input tokens, and for the end.
        """
        place = 0
        for what in units:
            choice = choices[place] if place < len(choices) else None
            if isinstance(what, Insertion):
                self._gap.append((what, choice))
            else:
                yield from self._take(what, choice)
                place += what.span

    def finish(self) -> Iterator[Insertion | Form]:
        """Yield what is left at the end of the text."""
        yield from self._close_gap(Side.NONE)

    def _take(self, what: Form, choice: Choice | None) -> Iterator[Insertion | Form]:
        yield from self._close_gap(self._decoder.right_of(self._tokens[self._index]))
        was, now = self._was, self._now
        same = now.either or (was.initial, was.either) == (now.initial, now.either)
        form = what if same else self._recased(what, choice)
        yield form
        self._was, self._now = after_form(self._was, what), after_form(self._now, form)
        self._left = left_of(form)
        self._index += what.span

    def _close_gap(self, right: Side) -> Iterator[Insertion]:
        gap, self._gap = self._gap, []
        lone = False  # whether the word before was dropped
        for count, (item, choice) in enumerate(gap, 1):
            given = item.kind == "break" and right is Side.BREAK  # the input's own blank line
            falls = not given and self._falls(item, choice, lone)
            lone = falls and item.kind == "word"
            room = count < MAX_INSERTIONS
            found = item if self._was == self._now and not falls else self._fitted(item, right, falls)
            if found is not None:
                yield found
                self._now = self._now.after(found, room)
            self._was = self._was.after(item, room)

    def _falls(self, item: Insertion, choice: Choice | None, lone: bool) -> bool:
        closes = item.kind in ("bracket", "quote") and item.leads_to is not Place.OPEN
        if closes and item.kind in self._closers:
            return self._closers.pop(item.kind)
        falls = self._drop(of_insertion(item, self._index, choice, self._rate))
        if item.kind in ("bracket", "quote") and not closes:
            self._closers[item.kind] = falls
        return falls or (lone and item.leads_to is Place.CLITIC)

    def _fitted(self, item: Insertion, right: Side, falls: bool) -> Insertion | None:
        """Return what stays of an insertion as it stands in its new place, or None if nothing can stand there."""
        bare = item.text.strip(" ")
        wanted = [] if falls else [bare]
        if item.merged:
            wanted.append(bare.translate(_ENCLOSING))
        left = self._left if self._now.fresh else Side.WORD
        for side in (right, Side.WORD) if right is Side.BREAK else (right,):
            menu = self._decoder.grammar.menu(self._now, left, side) if wanted else ()
            for text in wanted:
                found = [other for other in menu if _is_same(item, other, text)]
                if found:
                    return max(found, key=lambda other: (other.text == item.text, other.logprob))
        return None

    def _recased(self, form: Form, choice: Choice | None) -> Form:
        """Return a form as it is written where a sentence starts, or where none does."""
        token, initial = self._tokens[self._index], self._now.initial
        core = form.text[len(token.before) : len(form.text) - len(token.after)] if form.span == 1 else form.text
        options = [
            other
            for other in self._decoder.forms(self._tokens, self._index, initial)
            if other.span == form.span and other.text.lower() == core.lower()
        ]
        if initial:
            options = [other for other in options if other.text == capitalised(replace(form, text=core)).text]
        else:
            options = [other for other in options if capitalised(other).text == core]
        if not options:
            return form
        chances = dict(choice.forms) if choice is not None else {}
        best = max(options, key=lambda other: chances.get(token.before + other.text + token.after, 0.0))
        if form.span > 1:
            return best
        return replace(best, text=token.before + best.text + token.after, after=form.after)


def _is_same(item: Insertion, other: Insertion, bare: str) -> bool:
    if bare != item.text.strip(" "):  # what is left of a merged mark whose bracket or quotation mark has gone
        return other.kind == "mark" and other.text == bare
    opens = item.leads_to is Place.OPEN
    return (
        other.kind == item.kind
        and (other.leads_to is Place.OPEN) == opens
        and other.text.strip(" ").lower() == bare.lower()
    )
