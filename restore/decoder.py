"""The decoder: a word-synchronous beam search through a lattice with a language model.

All hypotheses of a beam stand in the gap before the same input token. They grow id by id: one that completes a form of
the token moves on to the next beam, one that inserts something stays. A gap is done when as many hypotheses as the beam
is wide have moved on with better scores than any that stayed. Scores are sums of full-vocabulary log-probabilities, so
that a hypothesis which makes the next input word unlikely pays for it; hypotheses are only compared at the same input
token. (Greedy or token-synchronous search fails here: at each step some stop word is likelier than the next input word.)

The search is a generator: it yields requests to the model and is sent the answers, so that a caller can run several
searches in step and put their requests to the model in one batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from heapq import nlargest
from operator import itemgetter
from typing import Any, NamedTuple

from restore.lattice.forms import Form, FormFinder, capitalised
from restore.lattice.gaps import ENDED, MAX_INSERTIONS, GapGrammar, Insertion, Place, Position, Side, side_of
from restore.models.base import Encoded, Expansion, LanguageModel, Request, Trie
from restore.source import SourceToken
from restore.units import SENTENCE_ENDS

Asking = Generator[list[Request], list[Expansion], None]

COMMIT_EVERY = 32
"""How often, in input tokens, the search looks whether its hypotheses agree on a beginning."""

MARGIN = 12.0
"""Nats by which a growing hypothesis may be behind the best that is done."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What the search adds to the model's log-probabilities, in nats. Chosen on development text.

    Attributes:
        insertion: for each inserted word, against the habit of a summed score to insert too little.
        end: for each mark that ends a sentence, for the same reason.
        quote: for each opening quotation mark: it puts words into somebody's mouth.
        survivor: for a word that the channel should have dropped and that starts a sentence here.
    """

    insertion: float = 0.5
    end: float = 1.0
    quote: float = -4.0
    survivor: float = 2.0


class Step:
    """One unit of a hypothesis's output, linked to the one before it."""

    __slots__ = ("before", "logprob", "position", "text", "what")

    def __init__(
        self, before: Step | None, what: Form | Insertion, text: str, position: Position, logprob: float
    ) -> None:
        self.before = before
        self.what = what
        self.text = text  # with the space before it
        self.position = position  # after it
        self.logprob = logprob


class Hypothesis:
    """A partial restoration: its score, where it stands in grammar and trie, and its last step."""

    __slots__ = ("inserted", "left", "node", "pending", "position", "score", "state", "step", "within")

    def __init__(
        self,
        score: float,
        state: Any,
        pending: int | None,
        position: Position,
        step: Step | None,
        left: Side,
        inserted: int = 0,
        node: Trie[Any] | None = None,
        within: str = "",
    ) -> None:
        self.score = score
        self.state = state
        self.pending = pending
        self.position = position
        self.step = step
        self.left = left
        self.inserted = inserted
        self.node = node  # inside a unit of several ids, the trie of what is left of it
        self.within = within  # "form" or "insertion", if inside one


class Growth(NamedTuple):
    """A candidate hypothesis, not yet made: most are never needed."""

    score: float
    parent: Hypothesis
    node: Trie[Any]
    child: int
    item: Any  # the completed form or insertion, or None inside a unit of several ids
    within: str


_score = itemgetter(0)


class Search:
    """One search through one text. `run()` drives it; `committed` grows as beginnings are agreed on."""

    def __init__(self, decoder: Decoder, tokens: Sequence[SourceToken]) -> None:
        self.committed: list[Step] = []
        self.score = 0.0
        self._decoder = decoder
        self._tokens = tokens
        self._root: Step | None = None

    def run(self) -> Asking:
        """Search the whole text, window by window, leaving its best reading in `committed`."""
        window, total = self._decoder.model.window, len(self._tokens)
        start, position, left = 0, Position(), Side.NONE
        while True:
            stop = total if window is None else min(total, start + window.width + window.ahead)
            live = yield from self._window(start, stop, position, left)
            if stop == total:
                live = (yield from self._end(live)) or live
            best = max(live, key=lambda hypothesis: hypothesis.score)
            self.score += best.score
            steps = _steps(best.step, self._root)
            if window is None or stop == total:
                self.committed.extend(steps)
                return
            start = self._cut(steps, start, start + window.width)
            last = self.committed[-1]
            position = last.position
            left = left_of(last.what) if isinstance(last.what, Form) else Side.WORD
            self._root = None

    def _window(
        self, start: int, stop: int, position: Position, left: Side
    ) -> Generator[list[Request], list[Expansion], list[Hypothesis]]:
        """Search from one input token up to another; return the hypotheses there."""
        decoder = self._decoder
        seen, prefix = self._prefix(start)
        texts = [token.core if token.word else token.text for token in self._tokens[seen:stop]]
        state = decoder.model.begin(texts, prefix)
        stacks: dict[int, list[Hypothesis]] = defaultdict(list)
        stacks[start] = [Hypothesis(0.0, state, None, position, None, left)]
        for index in range(start, stop):
            live = decoder.pruned(stacks.pop(index, []))
            if not live:  # every hypothesis is within a joint form
                continue
            if index % COMMIT_EVERY == 0 and decoder.model.window is None:
                self._commit(live)
            moved = yield from self._gap(index, live)
            if not moved:  # marks that the input gave may leave no way to end a paragraph: go on in it
                moved = yield from self._gap(index, live, plain=True)
            for growth in moved:
                stacks[index + growth.item.span].append(decoder.made(growth))
        return decoder.pruned([hypothesis for stack in stacks.values() for hypothesis in stack])

    def _prefix(self, start: int) -> tuple[int, str]:
        """Return the first input token that a window at `start` is shown, and the restored text from there on."""
        window = self._decoder.model.window
        if window is None or start == 0:
            return start, ""
        texts: list[str] = []
        shown = 0
        for step in reversed(self.committed):
            if isinstance(step.what, Form):
                if shown + step.what.span > window.before:
                    break
                shown += step.what.span
            texts.append(step.text)
        return start - shown, "".join(reversed(texts))

    def _cut(self, steps: list[Step], start: int, upto: int) -> int:
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
        self.committed.extend(steps[:length])
        return cut

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
        while live:
            requests = [decoder.request(hypothesis, tokens, index, plain) for hypothesis in live]
            expansions = yield requests
            growing: list[Growth] = []
            for hypothesis, request, expansion in zip(live, requests, expansions, strict=True):
                hypothesis.state, hypothesis.pending = expansion.state, None
                decoder.grow_forms(hypothesis, request.forms, expansion.forms, growing, done)
            floor = decoder.floor([growth.score for growth in done])
            for hypothesis, request, expansion in zip(live, requests, expansions, strict=True):
                decoder.grow_insertions(hypothesis, request.insertions, expansion.insertions, floor, growing)
            live = decoder.best_of(growing, floor)
        done.sort(key=_score, reverse=True)
        return decoder.recombined(done)

    def _end(self, live: list[Hypothesis]) -> Generator[list[Request], list[Expansion], list[Hypothesis]]:
        """Grow the hypotheses past the last token; return those whose texts are whole."""
        decoder = self._decoder
        whole: list[Hypothesis] = []
        while live:
            requests = [decoder.request(hypothesis, (), 0) for hypothesis in live]
            expansions = yield requests
            growing: list[Growth] = []
            for hypothesis, request, expansion in zip(live, requests, expansions, strict=True):
                hypothesis.state, hypothesis.pending = expansion.state, None
                if hypothesis.node is None and decoder.is_whole(hypothesis.position):
                    whole.append(hypothesis)
            floor = decoder.floor([hypothesis.score for hypothesis in whole])
            for hypothesis, request, expansion in zip(live, requests, expansions, strict=True):
                decoder.grow_insertions(hypothesis, request.insertions, expansion.insertions, floor, growing)
            live = decoder.best_of(growing, floor)
        return whole

    def _commit(self, live: list[Hypothesis]) -> None:
        """Move the beginning that all hypotheses share to `committed`."""
        chains = [_steps(hypothesis.step, self._root) for hypothesis in live]
        shared = 0
        for steps in zip(*chains, strict=False):
            if any(step is not steps[0] for step in steps):
                break
            shared += 1
        if shared:
            self.committed.extend(chains[0][:shared])
            self._root = chains[0][shared - 1]
            self._root.before = None


def _steps(last: Step | None, root: Step | None) -> list[Step]:
    """Return the steps after `root` up to `last`, in order."""
    steps = []
    while last is not None and last is not root:
        steps.append(last)
        last = last.before
    return steps[::-1]


class Decoder:
    """What the searches with one model and one channel share: the grammar, the tries, the beam. Thread-safe."""

    def __init__(
        self, model: LanguageModel, finder: FormFinder, grammar: GapGrammar, beam: int, weights: Weights
    ) -> None:
        self.model = model
        self.finder = finder
        self.grammar = grammar
        self.beam = beam
        self.weights = weights
        self.insertion_trie = lru_cache(maxsize=1 << 12)(self._insertion_trie)
        self._forms = lru_cache(maxsize=1 << 15)(self._form_trie)

    def search(self, tokens: Sequence[SourceToken]) -> Search:
        """Return a search through a text, ready to run."""
        return Search(self, tokens)

    def request(
        self, hypothesis: Hypothesis, tokens: Sequence[SourceToken], index: int, plain: bool = False
    ) -> Request:
        """Return what to ask the model for a hypothesis in the gap before a token, or, without tokens, at the end."""
        insertions: Trie[Any] | None = None
        forms: Trie[Any] | None = None
        if hypothesis.node is not None:
            if hypothesis.within == "form":
                forms = hypothesis.node
            else:
                insertions = hypothesis.node
        else:
            token = tokens[index] if tokens else None
            position = hypothesis.position
            right = Side.WORD if plain else self.right_of(token)
            insertions = self.insertion_trie(position, hypothesis.left if position.fresh else Side.WORD, right)
            if token is not None and (position.place is Place.BREAK or right is not Side.BREAK):
                forms = self.form_trie(tokens, index, position)
        return Request(hypothesis.state, hypothesis.pending, insertions, forms, self.beam + 8)

    def right_of(self, token: SourceToken | None) -> Side:
        """Return what a gap knows of the token after it; None stands for the end of the text."""
        if token is None:
            return Side.NONE
        if token.break_before and self.grammar.ends:
            return Side.BREAK
        return side_of(token.core if token.word and not token.before else "x")

    def form_trie(self, tokens: Sequence[SourceToken], index: int, position: Position) -> Trie[Form]:
        """Return the forms of the token at an index, or of it and those after it, as a trie."""
        token = tokens[index]
        following = self._following(tokens, index)
        outer = (token.before, token.core, token.after)
        return self._forms(*outer, token.word, following, position.touching, position.initial)

    def forms(self, tokens: Sequence[SourceToken], index: int, initial: bool) -> list[Form]:
        """Return the forms of the token at an index, or of it and those after it."""
        token = tokens[index]
        return self.candidates(token.core, token.word, self._following(tokens, index), initial)

    def _following(self, tokens: Sequence[SourceToken], index: int) -> tuple[str, ...]:
        """Return the input tokens that the longest joint form starting here stands for, if there is one."""
        longest: tuple[str, ...] = ()
        if tokens[index].word:
            for image, _ in self.finder.forms(tokens[index].core).joint:
                if len(image) > len(longest):
                    near = tokens[index : index + len(image)]
                    if tuple(token.text for token in near) == image:
                        longest = image
        return longest

    def _insertion_trie(self, position: Position, left: Side, right: Side) -> Trie[Insertion] | None:
        entries = []
        for item in self.grammar.menu(position, left, right):
            if item.merged and not self.model.merges_marks:
                continue
            touched = item.leads_to in (Place.OPEN, Place.DASH, Place.JOIN)
            initial = position.initial and item.kind == "word"
            encoded = self.model.encode(item.text, initial=initial, touched=touched, logprob=item.logprob)
            if encoded is not None:
                bonus = encoded.bonus + self._weight(item)
                entries.append((Encoded(encoded.ids, bonus), item))
        return Trie(entries) if entries else None

    def _weight(self, item: Insertion) -> float:
        if item.kind == "word":
            return self.weights.insertion
        if item.leads_to is Place.END:
            return self.weights.end
        return self.weights.quote if item.kind == "quote" and item.leads_to is Place.OPEN else 0.0

    def _form_trie(
        self, before: str, core: str, after: str, word: bool, following: tuple[str, ...], touching: bool, initial: bool
    ) -> Trie[Form]:
        entries = []
        for form in self.candidates(core, word, following, initial):
            whole = replace(form, text=before + form.text + after, after=after) if before or after else form
            text = ("" if touching else " ") + whole.text
            encoded = self.model.encode(text, initial=initial, touched=False, logprob=form.logprob)
            if encoded is not None:
                bonus = encoded.bonus
                if form.kept and initial and word:
                    bonus += self.weights.survivor
                entries.append((Encoded(encoded.ids, bonus), whole))
        return Trie(entries)

    def candidates(self, core: str, word: bool, following: tuple[str, ...], initial: bool) -> list[Form]:
        """Return the forms that a core, or it and the tokens that follow, may have in one place."""
        if not word:
            return list(self.finder.kept(core))
        if self.finder.channel.lowercase and core != core.lower():
            return list(self.finder.given(core))
        found = self.finder.forms(core)
        joint = [form for image, form in found.joint if image == following[: len(image)]]
        forms = (*found.single, *joint)
        if not initial:
            return list(forms)
        started: dict[str, Form] = {}
        for form in forms:
            image = (core,) if form.span == 1 else following[: form.span]
            upper = capitalised(form)
            if not form.kept and not self.finder.makes(upper.text, image):
                upper = form
            started.setdefault(upper.text, upper)
        return list(started.values())

    def grow_forms(
        self,
        parent: Hypothesis,
        node: Trie[Any] | None,
        logprobs: Sequence[float],
        growing: list[Growth],
        done: list[Growth],
    ) -> None:
        """Add what a hypothesis becomes by each id of a form node: complete in `done`, else in `growing`."""
        if node is None:
            return
        for child, logprob in enumerate(logprobs):
            score = parent.score + logprob
            for form, bonus in node.items[child]:
                done.append(Growth(score + bonus, parent, node, child, form, "form"))
            if node.next[child] is not None:
                growing.append(Growth(score, parent, node, child, None, "form"))

    def grow_insertions(
        self,
        parent: Hypothesis,
        node: Trie[Any] | None,
        best: Sequence[tuple[int, float]],
        floor: float,
        growing: list[Growth],
    ) -> None:
        """Add what a hypothesis becomes by the best ids of an insertion node, as far as they score above the floor."""
        if node is None:
            return
        most = max(self.weights.insertion, self.weights.end, 0.0)
        for child, logprob in best:
            score = parent.score + logprob
            if score + most <= floor:
                break
            for item, bonus in node.items[child]:
                growing.append(Growth(score + bonus, parent, node, child, item, "insertion"))
            if node.next[child] is not None:
                growing.append(Growth(score, parent, node, child, None, "insertion"))

    def floor(self, scores: list[float]) -> float:
        """Return the score that a hypothesis must beat to go on, given the scores of those that are done.

        A full beam of done ones must not beat it, nor the best of them by more than `MARGIN`.
        """
        if len(scores) < self.beam:
            return float("-inf")
        best = nlargest(self.beam, scores)
        return max(best[-1], best[0] - MARGIN)

    def best_of(self, growing: list[Growth], floor: float) -> list[Hypothesis]:
        """Make the best growing candidates of those above the floor."""
        return [self.made(growth) for growth in nlargest(self.beam, growing, key=_score) if growth.score > floor]

    def recombined(self, done: list[Growth]) -> list[Growth]:
        """Keep, of candidates in order of score, the best of each future, a beam of them for each span."""
        kept: list[Growth] = []
        seen: set[Hashable] = set()
        width: dict[int, int] = defaultdict(int)
        for growth in done:
            span = growth.item.span
            if width[span] >= self.beam:
                continue
            position = growth.parent.position
            future = self.model.key(growth.parent.state, int(growth.node.ids[growth.child]))
            if future is not None:
                key = (future, position.bracket, position.quote, span)
                if key in seen:
                    continue
                seen.add(key)
            width[span] += 1
            kept.append(growth)
        return kept

    def pruned(self, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
        """Keep the best hypotheses of a beam."""
        return nlargest(self.beam, hypotheses, key=lambda hypothesis: hypothesis.score)

    def made(self, growth: Growth) -> Hypothesis:
        """Make the hypothesis of a candidate."""
        parent, item = growth.parent, growth.item
        pending = int(growth.node.ids[growth.child])
        if item is None:
            return Hypothesis(
                growth.score, parent.state, pending, parent.position, parent.step, parent.left,
                parent.inserted, growth.node.next[growth.child], growth.within,
            )  # fmt: skip
        logprob = growth.score - parent.score
        if isinstance(item, Form):
            text = item.text if parent.position.touching else " " + item.text
            position = after_form(parent.position, item)
            step = Step(parent.step, item, text, position, logprob)
            return Hypothesis(growth.score, parent.state, pending, position, step, left_of(item))
        inserted = parent.inserted + 1
        position = parent.position.after(item, inserted < MAX_INSERTIONS)
        step = Step(parent.step, item, item.text, position, logprob)
        return Hypothesis(growth.score, parent.state, pending, position, step, parent.left, inserted)

    def is_whole(self, position: Position) -> bool:
        """Tell whether a text may end at a position."""
        if not self.grammar.ends:
            return True
        return position.place in ENDED and not (position.bracket or position.quote)


def left_of(form: Form) -> Side:
    """Return what the gap after a form knows of it."""
    return side_of(form.text)


def after_form(position: Position, form: Form) -> Position:
    """Return the position after a form, which depends on the marks that the input gave with it."""
    after = position.after_form()
    marks = form.after if any(char.isalnum() for char in form.text) else form.text
    bare = marks.rstrip("\"')]}\u201d\u2019")
    if bare and (bare[-1] in SENTENCE_ENDS):
        return replace(after, place=Place.END, initial=True)
    if bare and bare[-1] in ",;:":
        return replace(after, place=Place.COMMA)
    return after
