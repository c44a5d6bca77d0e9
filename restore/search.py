"""One search through one text, window by window.

A search is a generator of windows to begin, and what searches a window is a generator of requests to the model, which is sent
the answers. So a caller can run several windows in step, of one text or of many, with their requests in one batch; and where
the model can be asked in several ways at the same time, a part of the windows through each.
"""

from __future__ import annotations

import sys
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Generic, NamedTuple, TypeVar

from restore.decoder import Decoder, Growth, Hypothesis, Pin, Step, left_of
from restore.errors import InputError
from restore.lattice.forms import Form
from restore.lattice.gaps import Position, Side
from restore.models.base import Expansion, LanguageModel, Request
from restore.opinion import NOTHING, Tagging
from restore.posterior import Arc, Choice, Stage, best_path, consensus
from restore.source import TokenStream
from restore.windows import Path, Span, breadth, opened, resumed, seam, sentence_cut, since_end, spans

BAD_PIN = "input token {place}: {pin} does not strip back to it, or cannot stand there; choose among the alternatives"

Result = TypeVar("Result")
Item = TypeVar("Item")
Asking = Generator[list[Request], list[Expansion], Result]
"""Yields requests, is sent the answers, and returns what it has found."""

MOST_BEGUN = 32
"""Texts in work at a time, those included that are done and wait for a longer one before them."""
MOST_ARCS = 48
"""Ways on from one input token that are remembered besides those taken, for the probabilities of what was chosen."""


class Search:
    """Searches one text. `run()` drives it; `steps`, `choices` and `seams` grow as windows are done.

    Whoever is called at the end of each block of windows (`done`) may take from their beginnings, but for the steps of as many
    tokens as the model's windows are shown of what is before.

    Args:
        decoder: the grammar, the model and the beam.
        tokens: the input.
        done: called at the end of each block of windows that are searched in step.
        pins: what is settled already, by number of input token.
        posteriors: whether to weigh all that was considered (see `restore.posterior`), or only follow the likeliest path.

    Attributes:
        steps: the chosen units, in order.
        choices: for each input token and the gap before it, what else there was; the last gap has no form.
        restored: how many input tokens have been restored.
        seams: the numbers of the input tokens that the text of one window passes to that of the next before.
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
        self.seams: list[int] = []
        self.restored = 0
        self.score = 0.0
        self._decoder = decoder
        self._tokens = tokens
        self._done = done
        self._pins = pins or {}
        self._posteriors = posteriors
        self._ended = 0
        self._tagging = Tagging(decoder.adviser, tokens) if decoder.adviser is not None else None

    @property
    def breadth(self) -> int:
        """How many windows are searched in step, at most."""
        return breadth(self._tokens, self._decoder.model.window)

    def run(self) -> Generator[Begin, list[_Found], None]:
        """Search the whole text: yield windows to search, and be sent what was found in those that are wanted."""
        window, tokens = self._decoder.model.window, self._tokens
        start, last = 0, False
        rest: list[tuple[Span, _Found]] = []  # what is searched already, and the text could not pass to
        while not last:
            block: list[Span] = []
            if window is None:
                end = tokens.upto(sys.maxsize)
                block = [Span(0, 0, end, end, end, True)]
            elif rest:
                block = resumed(tokens, start, [(span, Path(span.start, one.steps)) for span, one in rest], window)
                rest = rest[len(rest) - len(block) + 1 :] if block else []
            if not block:
                assert window is not None
                block = spans(tokens, start, window, bool(self.steps) and any(opened(self.steps[-1])))
            wanted = block[: len(block) - len(rest)]
            asked, found = {span: self._searched(span) for span in wanted}, list[_Found]()
            if start == 0 and len(block) > 1:  # its first sentences need not wait for the others
                found = yield Begin(asked, wanted[:1])
                path = Path(0, found[0].steps)
                start = self.restored = self._commit(path, found[0].choices, 0, sentence_cut(path, 0, block[0].upto))
                self._tell()
                asked, wanted = {}, wanted[1:]
            found = [*found, *(yield Begin(asked, wanted)), *(one for _, one in rest)]
            start, joined, last = self._join(start, block, found)
            rest = list(zip(block, found, strict=True))[joined:]
            self.restored = start
            kept = next((step.what.span for step in reversed(self.steps) if isinstance(step.what, Form)), 0)
            self._tell()
            # Who writes the text may hold the last form back until what follows is known.
            tokens.forget(start - max(kept, window.before if window is not None else 0))
        for place, pin in self._pins.items():
            if not 0 <= place <= self._ended:
                raise InputError(BAD_PIN.format(place=place, pin=pin))

    def _tell(self) -> None:
        if self._done is not None:
            self._done(self)

    def _join(self, start: int, block: Sequence[Span], found: Sequence[_Found]) -> tuple[int, int, bool]:
        """Commit what the windows of a block have found, up to one that does not fit to the one before it.

        Args:
            start: the first input token that is not yet restored.
            block: the windows.
            found: what was found in each.

        Returns:
            The next input token, the number of windows that are part of the text now, and whether the text ends there.
        """
        for number, (span, one) in enumerate(zip(block, found, strict=True)):
            self.score += one.score
            path = Path(span.start, one.steps)
            cut = None
            if number + 1 < len(block):
                after = block[number + 1]
                cut = seam(path, Path(after.start, found[number + 1].steps), after.own, after.upto)
            if cut is not None:
                start = self._commit(path, one.choices, start, cut)
            elif span.last:
                self._commit(path, one.choices, start, None)
                return span.stop, number + 1, True
            else:
                return self._commit(path, one.choices, start, sentence_cut(path, start, span.upto)), number + 1, False
        raise AssertionError("a block has no last window")

    def _commit(self, path: Path, choices: list[Choice], start: int, cut: int | None) -> int:
        """Add a path from one input token up to another, or to its end; return that token."""
        cuts = path.cuts()
        first = cuts.get(start, 0)
        self.steps.extend(path.steps[first : None if cut is None else cuts[cut]])
        self.choices.extend(choices[start - path.start : None if cut is None else cut - path.start])
        if cut is None:
            return start
        self.seams.append(cut)
        return cut

    def _searched(self, span: Span) -> Asking[_Found]:
        """Search one window."""
        stages, live = yield from self._window(span)
        if span.last:
            self._ended = span.stop
            final, live = yield from self._end(live, self._pins.get(span.stop))
            stages.append(final)
        score = max(hypothesis.score for hypothesis in live)
        if self._posteriors:
            steps, choices = consensus(stages, live, self._decoder)
            return _Found(steps, self._tagged(span.start, choices), score)
        return _Found(best_path(live), [], score)

    def _tagged(self, start: int, choices: list[Choice]) -> list[Choice]:
        """Add to the choices of a window what the tagger says of their gaps, all but that at the end of the text."""
        tagging = self._tagging
        if tagging is None:
            return choices
        return [
            replace(choice, tagged=tagging.at(place).tagged([form for form, _ in choice.forms])) if tagging.has(place) else choice
            for place, choice in enumerate(choices, start)
        ]

    def _window(self, span: Span) -> Asking[tuple[list[Stage], list[Hypothesis]]]:
        """Search the input tokens of a window; return what was considered, and the hypotheses at the end."""
        decoder, start, stop = self._decoder, span.start, span.stop
        first, prefix, position, left, held, since = start, "", Position(), Side.NONE, NOTHING, 0
        if self.steps and span.own == start:  # it goes on from what is restored
            first, prefix = self._prefix(start)
            last = self.steps[-1]
            position = last.position
            left, since = Side.WORD, since_end(self.steps)
            if isinstance(last.what, Form):
                left, held = left_of(last.what), decoder.held_after(last.what)
        texts = [token.core if token.word else token.text for token in self._tokens.row(first, span.seen)]
        state = decoder.model.begin(texts, prefix)
        stacks: dict[int, list[Hypothesis]] = defaultdict(list)
        context = None if decoder.fusion is None else decoder.fusion.begin(prefix)
        stacks[start] = [Hypothesis(0.0, state, None, position, None, left, context=context, held=held, since=since)]
        stages: list[Stage] = []
        for index in range(start, stop):
            live = decoder.pruned(stacks.pop(index, []))
            if not live:  # every hypothesis is within a joint form
                continue
            pin = self._pins.get(index) if index >= span.own else None
            done = yield from self._gap(index, live, pin)
            if not done:  # marks that the input gave may leave no way to end a paragraph: go on in it
                for hypothesis in live:
                    hypothesis.offer = None  # which is asked for once more
                done = yield from self._gap(index, live, pin, plain=True)
            if not done:
                raise InputError(BAD_PIN.format(place=index, pin=pin))
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
        for number, growth in enumerate(done if self._posteriors else ()):
            if number >= MOST_ARCS and id(growth) not in keys:
                continue  # what the search goes on from is always remembered: no other way may lead to the end
            key = keys[id(growth)] if id(growth) in keys else decoder.future(growth)
            arcs.append(Arc(growth.parent, growth, targets.get(id(growth) if key is None else key)))
        return Stage(index, live, arcs)

    def _gap(
        self, index: int, live: list[Hypothesis], pin: Pin | None = None, plain: bool = False
    ) -> Asking[list[Growth]]:
        """Grow the hypotheses before token `index`; return those that have taken a form of it, the best first.

        Args:
            index: the input token.
            live: the hypotheses, all before that token.
            pin: what is settled about it.
            plain: let the form follow at once, whatever stands between the tokens in the input.
        """
        decoder, tokens = self._decoder, self._tokens
        done: list[Growth] = []
        seen: list[float] = []  # log-probabilities of first ids of forms
        opinion = self._tagging.at(index) if self._tagging is not None else None
        for step in count(1):
            if not live:
                break
            requests = [decoder.request(hypothesis, tokens, index, plain, pin) for hypothesis in live]
            expansions = yield requests
            growing: list[Growth] = []
            for hypothesis, request, expansion in zip(live, requests, expansions, strict=True):
                hypothesis.take(request, expansion)
                if hypothesis.node is None:
                    seen.extend(expansion.forms)
                decoder.grow_forms(hypothesis, request.forms, expansion.forms, growing, done, opinion)
            done = [growth for growth in done if not self._passes_pin(index, growth)] if self._pins else done
            floor, least = decoder.floor([growth.score for growth in done]), decoder.end_floor(done, opinion)
            for hypothesis, request, expansion in zip(live, requests, expansions, strict=True):
                decoder.grow_insertions(
                    hypothesis, request.insertions, expansion.insertions, min(floor, least), growing, opinion
                )
            ahead = max(seen, default=0.0)
            live = decoder.best_of(growing, floor, step, ahead, opinion)
            live = decoder.with_end(live, growing, least, ahead, opinion)
        done.sort(key=lambda growth: growth.score, reverse=True)
        return done

    def _passes_pin(self, index: int, growth: Growth) -> bool:
        """Tell whether a joint form would hide a token that the user has fixed."""
        return any(place in self._pins for place in range(index + 1, index + growth.item.span))

    def _end(
        self, live: list[Hypothesis], pin: Pin | None = None
    ) -> Asking[tuple[Stage, list[Hypothesis]]]:
        """Grow the hypotheses past the last token; return those whose texts are whole, or all if none can be.

        What makes a text whole is never lost to a beam, however many words are likelier: there is always a way to stop.

        Args:
            live: the hypotheses after the last token.
            pin: what is settled about the end.
        """
        decoder, first = self._decoder, live
        if pin is not None and pin.form is not None:
            raise InputError(BAD_PIN.format(place=self._ended, pin=pin))
        pin = None if pin is None or pin.gap is None else pin
        if pin is not None and not pin.gap:
            return Stage(self._ended, first, [Arc(end, None, end) for end in first]), first
        whole = [hypothesis for hypothesis in live if pin is None and decoder.is_whole(hypothesis.position)]
        for step in count(1):
            if not live:
                break
            requests = [_all_insertions(decoder.request(hypothesis, None, 0, pin=pin)) for hypothesis in live]
            expansions = yield requests
            growing: list[Growth] = []
            for hypothesis, request, expansion in zip(live, requests, expansions, strict=True):
                hypothesis.take(request, expansion)
                floor = decoder.floor([hypothesis.score for hypothesis in whole])
                decoder.grow_insertions(hypothesis, request.insertions, expansion.insertions, floor, growing)
            ending = [growth for growth in growing if growth.item is not None and decoder.ends_text(growth, pin)]
            whole.extend(map(decoder.made, ending))
            floor = decoder.floor([hypothesis.score for hypothesis in whole])
            live = decoder.best_of(growing, floor, step)
        if pin is not None and not whole:
            raise InputError(BAD_PIN.format(place=self._ended, pin=pin))
        ends = whole or first
        return Stage(self._ended, first, [Arc(end, None, end) for end in ends]), ends

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


class Begin(NamedTuple):
    """Windows to begin.

    Attributes:
        windows: them, each with what searches it; those that are wanted first.
        wanted: what must be found before the text goes on. Some of it may have been begun before.
    """

    windows: dict[Span, Asking[_Found]]
    wanted: Sequence[Span]


class _Found(NamedTuple):
    """What the search of a window has found: see `Search`."""

    steps: list[Step]
    choices: list[Choice]
    score: float


def _all_insertions(request: Request) -> Request:
    return replace(request, best=len(request.insertions.ids) if request.insertions is not None else 0)


def advance(search: Search, model: LanguageModel) -> Iterator[None]:
    """Run one search to its end, stopping after each answer of the model."""
    with _Streams(model) as streams:
        driven = _Driven(search, search, early=True)
        driven.begin(streams)
        while not driven.done:
            streams.step()
            yield


def drive(search: Search, model: LanguageModel) -> None:
    """Run one search to its end."""
    drive_together([search], model)


def drive_together(searches: Sequence[Search], model: LanguageModel) -> None:
    """Run several searches to their ends in step, the requests of all in few batches."""
    for _ in drive_in_turn(searches, lambda search: search, model, sys.maxsize, max(1, len(searches))):
        pass


def drive_in_turn(
    items: Iterable[Item],
    search_of: Callable[[Item], Search | None],
    model: LanguageModel,
    room: int,
    most: int = MOST_BEGUN,
) -> Iterator[Item]:
    """Run the searches of many items, several in step; where one is done, the next that there is room for begins.

    Args:
        items: taken as they are needed.
        search_of: returns the search of an item, or None if there is nothing to search.
        model: what all searches ask.
        room: how many windows are searched in step, or more if one search has more (`Search.breadth`).
        most: how many items are in work at most, those included that are done but wait for one before them.

    Yields:
        The items whose searches are done, in their order.
    """
    coming = (_Driven(item, search_of(item)) for item in items)
    after: _Driven[Item] | None = None
    begun: deque[_Driven[Item]] = deque()
    with _Streams(model) as streams:
        while True:
            work = [one for one in begun if not one.done]
            while len(begun) < most and (not work or sum(one.breadth for one in work) < room):
                after = after or next(coming, None)
                if after is None or (work and sum(one.breadth for one in (*work, after)) > room):
                    break
                begun.append(after)
                after.begin(streams)
                if not after.done:
                    work.append(after)
                after = None
            if not begun:
                return
            if work:
                streams.step()
            while begun and begun[0].done:
                yield begun.popleft().item


class _Driven(Generic[Item]):
    """An item and its search.

    Attributes:
        item: it.
        breadth: how many windows the search has in step.
        done: whether it has no more to search.

    Args:
        item: it.
        search: its search, if there is anything to search.
        early: whether somebody waits for the beginning of the text, so that its first window is to be done soon.
    """

    def __init__(self, item: Item, search: Search | None, early: bool = False) -> None:
        self.item = item
        self._early = early
        self.breadth = 0 if search is None else search.breadth
        self.done = search is None
        self._running = None if search is None else search.run()
        self._found: dict[Span, _Found] = {}
        self._wanted: Sequence[Span] = ()
        self._later: dict[Span, Asking[_Found]] = {}

    def begin(self, streams: _Streams) -> None:
        """Begin the search, if there is one."""
        if self._running is not None:
            self._go_on(streams, next(self._running))

    def _go_on(self, streams: _Streams, asked: Begin) -> None:
        """Have windows searched."""
        self._wanted = asked.wanted
        windows = {**self._later, **asked.windows}
        beside = [span for span in windows if span not in asked.wanted]
        apart = self._early and bool(beside)
        held: list[Span] = []  # for later, as they would hold up what is waited for
        if not streams.several:
            held = beside
        elif apart:  # what is waited for has a stream to itself, so half of the others have none for now
            held = beside[(len(beside) + 1) // 2 :]
        self._later = {span: windows.pop(span) for span in held}
        for span, asking in windows.items():
            streams.begin(asking, partial(self._tell, streams, span), alone=apart and span in asked.wanted)
        if not windows:
            self._check(streams)

    def _tell(self, streams: _Streams, span: Span, found: _Found) -> None:
        """Take what was found in a window."""
        self._found[span] = found
        self._check(streams)

    def _check(self, streams: _Streams) -> None:
        """Go on if all that is waited for is found."""
        if self._running is None or not all(one in self._found for one in self._wanted):
            return
        try:
            asked = self._running.send([self._found.pop(one) for one in self._wanted])
        except StopIteration:
            self._running, self.done = None, True
        else:
            self._go_on(streams, asked)


class _Window:
    """A window that is being searched.

    Attributes:
        requests: what it asks for next; nothing once it is done.
        alone: whether its stream is to have no others, as long as there are other streams.
    """

    def __init__(self, asking: Asking[_Found], found: Callable[[_Found], None], alone: bool = False) -> None:
        self.requests: list[Request] = []
        self.alone = alone
        self._asking = asking
        self._tell = found
        self.move(None)

    def move(self, answers: list[Expansion] | None) -> None:
        """Send it the answers to its requests, or None to begin it."""
        try:
            self.requests = next(self._asking) if answers is None else self._asking.send(answers)
        except StopIteration as stop:
            self.requests = []
            self._tell(stop.value)


class _Streams:
    """The streams of a model, with the windows that are searched through each of them in step.

    Where there are several streams each is asked from a thread of its own; all else goes on in the caller's.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._streams = model.streams
        self._windows: list[list[_Window]] = [[] for _ in self._streams]
        self._waiting: dict[Future[list[Expansion]], tuple[int, list[_Window]]] = {}
        self._threads: ThreadPoolExecutor | None = None

    def __enter__(self) -> _Streams:
        return self

    def __exit__(self, *error: object) -> None:
        if self._threads is not None:
            self._threads.shutdown()

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self._streams) > 1

    def begin(self, asking: Asking[_Found], found: Callable[[_Found], None], alone: bool = False) -> None:
        """Begin to search a window, through the stream that has the fewest.

        Args:
            asking: searches it.
            found: is told what was found.
            alone: whether others go through other streams, as long as they can.
        """
        window = _Window(asking, found, alone)
        if window.requests:
            min(self._windows, key=_at_work).append(window)

    def step(self) -> None:
        """Have the requests of a stream answered, and move its windows on."""
        busy = {number for number, _ in self._waiting.values()}
        free = [number for number, windows in enumerate(self._windows) if windows and number not in busy]
        if not self._waiting and len(free) == 1:
            windows = list(self._windows[free[0]])
            self._move(free[0], windows, self._streams[free[0]].expand(_requests(windows)))
            return
        if self._threads is None:
            self._threads = ThreadPoolExecutor(len(self._streams))
        for number in free:
            windows = list(self._windows[number])
            self._waiting[self._threads.submit(self._streams[number].expand, _requests(windows))] = number, windows
        for done in wait(self._waiting, return_when=FIRST_COMPLETED).done:
            self._move(*self._waiting.pop(done), done.result())

    def _move(self, number: int, windows: Sequence[_Window], expansions: Sequence[Expansion]) -> None:
        answers = iter(expansions)
        for window in windows:
            window.move([next(answers) for _ in window.requests])
        self._windows[number] = [window for window in self._windows[number] if window.requests]


def _at_work(windows: Sequence[_Window]) -> tuple[bool, int]:
    work = [window for window in windows if window.requests]
    return any(window.alone for window in work), len(work)


def _requests(windows: Sequence[_Window]) -> list[Request]:
    return [request for window in windows for request in window.requests]
