"""One search through one text, window by window.

The search is a generator: it yields requests to the model and is sent the answers, so that a caller can run several
searches in step and put their requests to the model in one batch.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count

from restore.decoder import Decoder, Growth, Hypothesis, Pin, Step, left_of
from restore.errors import InputError
from restore.lattice.forms import Form
from restore.lattice.gaps import ENDED, Position, Side
from restore.models.base import Expansion, LanguageModel, Request
from restore.posterior import Arc, Choice, Stage, best_path, consensus
from restore.source import TokenStream

BAD_PIN = "input token {place}: {pin} does not strip back to it, or cannot stand there; choose among the alternatives"

Asking = Generator[list[Request], list[Expansion], None]

FIRST = 96
"""Input tokens of a text's first window, narrow so that the first prose is soon there."""
MOST_ARCS = 48
"""Ways on from one input token that are remembered, for the probabilities of what was chosen."""


class Search:
    """Searches one text. `run()` drives it; `steps` and `choices` grow as windows are done.

    Whoever is called at the end of each window (`done`) may take from their beginnings, but for the steps of as many
    tokens as the model's windows are shown of what is before.

    Args:
        decoder: the grammar, the model and the beam.
        tokens: the input.
        done: called at the end of each window.
        pins: what is settled already, by number of input token.
        posteriors: whether to weigh all that was considered (see `restore.posterior`), or only follow the likeliest path.

    Attributes:
        steps: the chosen units, in order.
        choices: for each input token and the gap before it, what else there was; the last gap has no form.
        score: the log-probability of the best readings of the windows, search weights included, in nats.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokens: TokenStream,
        done: Callable[[Search], None] | None = None,
        pins: Mapping[int, Pin] | None = None,
        posteriors: bool = True,
    ) -> None:
        self.steps: list[Step] = []
        self.choices: list[Choice] = []
        self.score = 0.0
        self._decoder = decoder
        self._tokens = tokens
        self._done = done
        self._pins = pins or {}
        self._posteriors = posteriors

    def run(self) -> Asking:
        """Search the whole text."""
        window, tokens = self._decoder.model.window, self._tokens
        start, position, left = 0, Position(), Side.NONE
        while True:
            width = 0 if window is None else min(window.width, sys.maxsize if start else FIRST)
            stop = seen = tokens.upto(sys.maxsize if window is None else start + width + window.ahead + window.shown)
            last_window = tokens.upto(seen + 1) == seen
            if window is not None and not last_window:
                stop = start + width + window.ahead
            stages, live = yield from self._window(start, stop, seen, position, left)
            if last_window:
                final, live = yield from self._end(live)
                stages.append(final)
            self.score += max(hypothesis.score for hypothesis in live)
            choices: list[Choice] = []
            if self._posteriors:
                steps, choices = consensus(stages, live, self._decoder)
            else:
                steps = best_path(live)
            if window is None or last_window:
                self.steps.extend(steps)
                self.choices.extend(choices)
            else:
                start = self._cut(steps, choices, start, start + width)
            if self._done is not None:
                self._done(self)
            if window is None or last_window:
                return
            tokens.forget(start - window.before)
            last = self.steps[-1]
            position = last.position
            left = left_of(last.what) if isinstance(last.what, Form) else Side.WORD

    def _window(
        self, start: int, stop: int, seen: int, position: Position, left: Side
    ) -> Generator[list[Request], list[Expansion], tuple[list[Stage], list[Hypothesis]]]:
        """Search from one input token up to another; return what was considered, and the hypotheses at the end.

        Args:
            start: the first input token.
            stop: the one after the last.
            seen: the one after the last that the model is shown.
            position: where the text before the window ends, in the grammar.
            left: what the first gap knows of the token before it.
        """
        decoder = self._decoder
        first, prefix = self._prefix(start)
        texts = [token.core if token.word else token.text for token in self._tokens.row(first, seen)]
        state = decoder.model.begin(texts, prefix)
        stacks: dict[int, list[Hypothesis]] = defaultdict(list)
        stacks[start] = [Hypothesis(0.0, state, None, position, None, left)]
        stages: list[Stage] = []
        for index in range(start, stop):
            live = decoder.pruned(stacks.pop(index, []))
            if not live:  # every hypothesis is within a joint form
                continue
            done = yield from self._gap(index, live)
            if not done:  # marks that the input gave may leave no way to end a paragraph: go on in it
                done = yield from self._gap(index, live, plain=True)
            if not done:
                raise InputError(BAD_PIN.format(place=index, pin=self._pins.get(index)))
            stages.append(self._stage(index, live, done, stacks))
        return stages, decoder.pruned([hypothesis for stack in stacks.values() for hypothesis in stack])

    def _stage(
        self, index: int, live: list[Hypothesis], done: list[Growth], stacks: dict[int, list[Hypothesis]]
    ) -> Stage:
        """Move the best on to the next stacks, and remember how each of them, and of the others, got there."""
        decoder = self._decoder
        targets: dict[Hashable, Hypothesis] = {}
        keys: dict[int, Hashable | None] = {}
        for growth, key in decoder.recombined(done):
            keys[id(growth)] = key
            made = decoder.made(growth)
            stacks[index + growth.item.span].append(made)
            targets[id(growth) if key is None else key] = made
        arcs = []
        for growth in done[:MOST_ARCS] if self._posteriors else ():
            key = keys[id(growth)] if id(growth) in keys else decoder.future(growth)
            arcs.append(Arc(growth.parent, growth, targets.get(id(growth) if key is None else key)))
        return Stage(index, live, arcs)

    def _gap(
        self, index: int, live: list[Hypothesis], plain: bool = False
    ) -> Generator[list[Request], list[Expansion], list[Growth]]:
        """Grow the hypotheses before token `index`; return those that have taken a form of it, the best first.

        Args:
            index: the input token.
            live: the hypotheses, all before that token.
            plain: let the form follow at once, whatever stands between the tokens in the input.
        """
        decoder, tokens = self._decoder, self._tokens
        done: list[Growth] = []
        for step in count(1):
            if not live:
                break
            pin = self._pins.get(index)
            requests = [decoder.request(hypothesis, tokens, index, plain, pin) for hypothesis in live]
            expansions = yield requests
            growing: list[Growth] = []
            for hypothesis, request, expansion in zip(live, requests, expansions, strict=True):
                hypothesis.take(expansion)
                decoder.grow_forms(hypothesis, request.forms, expansion.forms, growing, done)
            floor = decoder.floor([growth.score for growth in done])
            for hypothesis, request, expansion in zip(live, requests, expansions, strict=True):
                decoder.grow_insertions(hypothesis, request.insertions, expansion.insertions, floor, growing)
            live = decoder.best_of(growing, floor, step)
        done.sort(key=lambda growth: growth.score, reverse=True)
        return done

    def _end(self, live: list[Hypothesis]) -> Generator[list[Request], list[Expansion], tuple[Stage, list[Hypothesis]]]:
        """Grow the hypotheses past the last token; return those whose texts are whole, or all if none can be.

        What makes a text whole is never lost to a beam, however many words are likelier: there is always a way to stop.
        """
        decoder, first = self._decoder, live
        whole = [hypothesis for hypothesis in live if decoder.is_whole(hypothesis.position)]
        for step in count(1):
            if not live:
                break
            requests = [_all_insertions(decoder.request(hypothesis, None, 0)) for hypothesis in live]
            expansions = yield requests
            growing: list[Growth] = []
            for hypothesis, request, expansion in zip(live, requests, expansions, strict=True):
                hypothesis.take(expansion)
                floor = decoder.floor([hypothesis.score for hypothesis in whole])
                decoder.grow_insertions(hypothesis, request.insertions, expansion.insertions, floor, growing)
            ending = [growth for growth in growing if growth.item is not None and decoder.ends_text(growth)]
            whole.extend(map(decoder.made, ending))
            floor = decoder.floor([hypothesis.score for hypothesis in whole])
            live = decoder.best_of(growing, floor, step)
        ends = whole or first
        return Stage(-1, first, [Arc(end, None, end) for end in ends]), ends

    def _prefix(self, start: int) -> tuple[int, str]:
        """Return the first input token that a window at `start` is shown, and the restored text from there on."""
        window = self._decoder.model.window
        if window is None or start == 0:
            return start, ""
        texts: list[str] = []
        shown = 0
        for step in reversed(self.steps):
            if isinstance(step.what, Form):
                if shown + step.what.span > window.before:
                    break
                shown += step.what.span
            texts.append(step.text)
        return start - shown, "".join(reversed(texts))

    def _cut(self, steps: list[Step], choices: list[Choice], start: int, upto: int) -> int:
        """Commit the steps up to the last sentence end before the input token `upto`; return the next input token.

        Where no sentence ends, the cut is at `upto`. It falls right after a form, so that the next window decides
        with more to look ahead at what comes in the gap.
        """
        place, cuts = start, []
        for number, step in enumerate(steps):
            if isinstance(step.what, Form):
                place += step.what.span
                cuts.append((place, number + 1, False))
            elif cuts and step.position.place in ENDED:
                cuts[-1] = (*cuts[-1][:2], True)
        within = [cut for cut in cuts if cut[0] <= upto] or cuts[:1]
        ended = [cut for cut in within if cut[2]] or within
        cut, length, _ = ended[-1]
        self.steps.extend(steps[:length])
        self.choices.extend(choices[: cut - start])
        return cut


def _all_insertions(request: Request) -> Request:
    return replace(request, best=len(request.insertions.ids) if request.insertions is not None else 0)


def advance(search: Search, model: LanguageModel) -> Iterator[None]:
    """Run one search to its end, stopping after each answer of the model."""
    asking = search.run()
    try:
        requests = next(asking)
        while True:
            requests = asking.send(model.expand(requests))
            yield
    except StopIteration:
        return


def drive(search: Search, model: LanguageModel) -> None:
    """Run one search to its end."""
    drive_together([search], model)


def drive_together(searches: Sequence[Search], model: LanguageModel) -> None:
    """Run several searches to their ends in step, the requests of all in one batch."""
    running: dict[int, Asking] = {}
    asked: dict[int, list[Request]] = {}

    def move(number: int, answers: list[Expansion] | None) -> None:
        try:
            asked[number] = next(running[number]) if answers is None else running[number].send(answers)
        except StopIteration:
            asked.pop(number, None)

    for number, search in enumerate(searches):
        running[number] = search.run()
        move(number, None)
    while asked:
        answers = iter(model.expand([request for requests in asked.values() for request in requests]))
        for number, requests in list(asked.items()):
            move(number, [next(answers) for _ in requests])
