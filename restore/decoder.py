"""The decoder: a word-synchronous beam search through a lattice with a language model.

All hypotheses of a beam stand in the gap before the same input token. They grow id by id: one that completes a form of
the token moves on to the next beam, one that inserts something stays. A gap is done when as many hypotheses as the beam
is wide have moved on with better scores than any that stayed; where a sentence may end, one that ends it may take longer.
Scores are sums of full-vocabulary log-probabilities, and of what a tagger and an n-gram model add to them, so that a
hypothesis which makes the next input word unlikely pays for it; hypotheses are only compared at the same input token.
(Greedy or token-synchronous search fails here: at each step some stop word is likelier than the next input word.)
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from heapq import heapify, heappop, heappush, nlargest
from typing import Any, NamedTuple

from restore.fusion import Fusion
from restore.lattice.forms import MAX_LENGTH, Form, FormFinder, capitalised
from restore.lattice.gaps import ENDED, MAX_INSERTIONS, GapGrammar, Insertion, Place, Position, Side, digits_of, side_of
from restore.models.base import Encoded, Expansion, LanguageModel, Request, Trie
from restore.models.runs import forced_run
from restore.opinion import NOTHING, Adviser, Held, Opinion, Tagger, TagWeights, with_insertion
from restore.source import SourceToken, TokenStream
from restore.units import CLITICS, SENTENCE_ENDS, segment

READ = 256
"""How much of a token the model reads, in characters: a token of a megabyte is a unit like any other."""

OFFERED = 16
"""Insertions that a model is asked for at one place, beyond as many as the beam is wide."""

USUAL, RAREST = -4.3, 2.0
"""A usual inserted word's log-probability by the lexicon; by how much rarer a word may be to count as such. In nats."""

FREE, FULL = 4, 13
"""Input tokens that brackets hold at no cost, and at most: of a hundred pairs in edited English 80 hold no more, and 98."""

END_CHANCE = 0.1
"""How probable a sentence end must be by the tagger for the search to look at one in any case."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What the search adds to the model's log-probabilities, in nats. Chosen on development text.

    Attributes:
        insertion: for each inserted word, against the habit of a summed score to insert too little.
        end: for each mark that ends a sentence, for the same reason; not where it closes a quotation in the same piece.
        comma: for each comma, likewise.
        rarity: for each nat that an inserted word is rarer than `USUAL`: how frequent words are both model and tagger know,
            so it counts twice in the sum of their opinions.
        quote: for each opening quotation mark: it puts words into somebody's mouth.
        bracket: for each input token that brackets hold, times how many they hold beyond `FREE` by then. Nothing else makes
            an open one urgent: to close it costs, to leave it open for one word more hardly does. Beside it, those that hold a
            sentence or `FULL` tokens must close. 0 for neither.
        prior: times a form's log-probability by the lexicon alone, given its token.
        capital: for a name's capital inside a sentence, against the habit of a cautious model to write too few.
        inflected: for a form that is not the token itself, against that model's habit to leave tokens as they are.
        asked: for a spelling that the user has asked for: more than any model can hold against it.
        survivor: for a word that the channel should have dropped and that starts a sentence here.
        margin: by how much a growing hypothesis may be behind the best that is done in its gap.
        live: by how much a hypothesis may be behind the best before the same input token.
        apart: by how much one may be that differs in where its sentence began, to be kept beside a beam that agrees on it;
            0 keeps none.
        scale: what log-probabilities are multiplied by for posteriors: summed ones are too sure of themselves.
        word_threshold, mark_threshold: from which posterior an inserted word, or mark, is worth having.
        path: what a nat of a reading's likelihood is worth beside its units' posteriors.
        tags: what the tagger's opinion is worth beside the model's.
        fusion: what a nat of the n-gram model is worth beside one of the model's own, of words.
    """

    insertion: float = 0.0
    end: float = 0.5
    comma: float = 0.0
    rarity: float = 0.0
    prior: float = 0.5
    quote: float = -4.0
    bracket: float = 0.0
    capital: float = 0.0
    inflected: float = 0.0
    survivor: float = 2.0
    asked: float = 25.0
    margin: float = 12.0
    live: float = float("inf")
    apart: float = 0.0
    scale: float = 0.7
    word_threshold: float = 0.2
    mark_threshold: float = 0.15
    path: float = 0.05
    tags: TagWeights = TagWeights()  # noqa: RUF009 (frozen)
    fusion: float = 0.0


class Step:
    """One unit of a hypothesis's output, linked to the one before it."""

    __slots__ = ("before", "position", "text", "what")

    def __init__(self, before: Step | None, what: Form | Insertion, text: str, position: Position) -> None:
        self.before = before
        self.what = what
        self.text = text  # with the space before it
        self.position = position  # after it


class Offer(NamedTuple):
    """What a model held likeliest to be inserted at one place in a gap, linked to what it did at the place before.

    Attributes:
        before: the place before in the same gap, or None.
        node: the trie of what may be inserted.
        best: (child, log-probability) of its best children, in nats.
    """

    before: Offer | None
    node: Trie[Any]
    best: Sequence[tuple[int, float]]


class Hypothesis:
    """A partial restoration: its score, where it stands in grammar and trie, and its last step."""

    __slots__ = (
        "_origin", "context", "held", "hope", "inserted", "left", "node", "offer", "pending", "position", "score", "since",
        "state", "step", "within",
    )  # fmt: skip

    def __init__(
        self,
        score: float,
        state: Any,
        pending: int | tuple[int, ...] | None,
        position: Position,
        step: Step | None,
        left: Side,
        inserted: int = 0,
        node: Trie[Any] | None = None,
        within: str = "",
        origin: Hypothesis | None = None,
        offer: Offer | None = None,
        context: Any = None,
        held: Held = NOTHING,
        hope: float = 0.0,
        since: int = 0,
    ) -> None:
        self._origin = origin  # not itself: a circle would wait in memory for the garbage collector
        self.offer = offer
        self.score = score
        self.state = state
        self.pending = pending
        self.position = position
        self.step = step
        self.left = left
        self.inserted = inserted
        self.node = node  # inside a unit of several ids, the trie of what is left of it
        self.within = within  # "form" or "insertion", if inside one
        self.context = context  # what the n-gram model knows of the text so far, if there is one beside the model
        self.held = held  # what its gap holds so far, for the tagger: the marks that its last form ends in, too
        self.hope = hope  # the part of its score that is for what the unit that it is inside may become
        self.since = since  # how many input tokens there are since its last sentence end

    @property
    def origin(self) -> Hypothesis:
        """The hypothesis that it grew from in this gap."""
        return self._origin or self

    def take(self, request: Request, expansion: Expansion) -> None:
        """Move on to where the model has fed what was pending, and remember what it offers to insert there."""
        self.state, self.pending = expansion.state, None
        if expansion.passed:
            self.score += sum(expansion.passed)
        if self.node is None and request.insertions is not None:
            self.offer = Offer(self.offer, request.insertions, expansion.insertions)


@dataclass(frozen=True, slots=True)
class Pin:
    """What the user has fixed about one input token.

    Attributes:
        form: the form that it must take, or None.
        gap: what must stand before it, in full ("" for nothing), with the space before each word but not the one
            before the token itself; or None.
    """

    form: str | None = None
    gap: str | None = None


class Growth(NamedTuple):
    """A candidate hypothesis, not yet made: most are never needed."""

    score: float
    parent: Hypothesis
    node: Trie[Any]
    child: int
    item: Any  # the completed form or insertion, or None inside a unit of several ids
    within: str
    hope: float = 0.0  # inside a unit, the part of the score that is for what it may become
    loose: bool = False  # whether that is only known not to be more


class Decoder:
    """What the searches with one model and one channel share: the grammar, the tries, the beam. Thread-safe."""

    def __init__(
        self,
        model: LanguageModel,
        finder: FormFinder,
        grammar: GapGrammar,
        beam: int,
        weights: Weights,
        tagger: Tagger | None = None,
        fusion: Fusion | None = None,
    ) -> None:
        self.model = model
        self.adviser = Adviser(tagger, weights.tags, finder.channel, grammar.words) if tagger is not None else None
        self.finder = finder
        self.grammar = grammar
        self.beam = beam
        self.weights = weights
        self.fusion = fusion
        self.name = "+".join([model.name, *(one.checksum for one in (tagger, fusion) if one is not None)])
        """The engine with the checksums of its data, as results and signatures show it."""
        self.insertion_trie = lru_cache(maxsize=1 << 12)(self._insertion_trie)
        self._forms = lru_cache(maxsize=1 << 15)(self._form_trie)

    def request(
        self,
        hypothesis: Hypothesis,
        tokens: TokenStream | None,
        index: int,
        plain: bool = False,
        pin: Pin | None = None,
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
            token = tokens[index] if tokens is not None else None
            position = hypothesis.position
            right = Side.WORD if plain else self.right_of(token)
            left = hypothesis.left if position.fresh else Side.WORD
            insertions = self.insertion_trie(position, left, right)
            if tokens is not None and (position.place is Place.BREAK or right is not Side.BREAK):
                forms = self.form_trie(tokens, index, position)
            if pin is not None:
                insertions, forms = self._pinned(pin, hypothesis, insertions, forms)
            elif self._must_close(hypothesis):
                closing = self.insertion_trie(position, left, right, closing=True)
                if closing is not None:
                    insertions, forms = closing, None
        return Request(hypothesis.state, hypothesis.pending, insertions, forms, self.beam + OFFERED)

    def _must_close(self, hypothesis: Hypothesis) -> bool:
        """Tell whether the open brackets end here: they hold a sentence, which of a hundred pairs one does, or are full."""
        position = hypothesis.position
        if not position.bracket or not self.weights.bracket:
            return False
        if position.place is Place.END:
            return not position.either
        return position.fresh and tokens_in_brackets(hypothesis.step) >= FULL

    def _pinned(
        self, pin: Pin, hypothesis: Hypothesis, insertions: Trie[Any] | None, forms: Trie[Any] | None
    ) -> tuple[Trie[Any] | None, Trie[Any] | None]:
        """Narrow what may come next to what the user has fixed."""
        if pin.form is not None and forms is not None:
            forms = _only(forms, lambda form: form.text == pin.form, lambda form: replace(form, asked=True))
        if pin.gap is not None:
            steps = steps_between(hypothesis.step, hypothesis.origin.step)
            rest = pin.gap.removeprefix("".join(step.text for step in steps))
            if not rest:
                return None, forms
            forms = None
            if insertions is not None:
                insertions = _only(insertions, lambda item: _begins(rest, item.text))
        return insertions, forms

    def right_of(self, token: SourceToken | None) -> Side:
        """Return what a gap knows of the token after it; None stands for the end of the text."""
        if token is None:
            return Side.NONE
        if token.break_before and self.grammar.ends:
            return Side.BREAK
        return side_of(digits_of(token.core) if token.word and not token.before else "x")

    def form_trie(self, tokens: TokenStream, index: int, position: Position) -> Trie[Form]:
        """Return the forms of the token at an index, or of it and those after it, as a trie."""
        token = tokens[index]
        following = self._following(tokens, index)
        outer = (token.before, token.core, token.after)
        # What is remembered of long tokens would fill memory.
        forms = self._forms if len(token.text) <= MAX_LENGTH else self._form_trie
        return forms(
            *outer, token.word, following, position.touching, position.initial, position.either, token.dropped, token.initials
        )

    def forms(self, tokens: TokenStream, index: int, initial: bool) -> list[Form]:
        """Return the forms of the token at an index, or of it and those after it."""
        token = tokens[index]
        return self.candidates(token.core, token.word, self._following(tokens, index), initial, token.dropped)

    def _following(self, tokens: TokenStream, index: int) -> tuple[str, ...]:
        """Return the input tokens that the longest joint form starting here stands for, if there is one."""
        longest: tuple[str, ...] = ()
        if tokens[index].word:
            for image, _ in self.finder.forms(tokens[index].core).joint:
                if len(image) > len(longest):
                    near = tokens.row(index, index + len(image))
                    apart = any(token.break_before for token in near[1:])
                    if not apart and tuple(token.text for token in near) == image:
                        longest = image
        return longest

    def _insertion_trie(
        self, position: Position, left: Side, right: Side, closing: bool = False
    ) -> Trie[Insertion] | None:
        entries = []
        for item in self.grammar.menu(position, left, right):
            if item.merged and not self.model.merges_marks:
                continue
            if closing and item.kind != "bracket":
                continue
            touched = touches(item)
            initial = item.kind == "word" and _starts(position, item.text)
            encoded = self.model.encode(item.text, initial=initial, touched=touched, logprob=item.logprob)
            if encoded is not None:
                bonus = encoded.bonus + self._weight(item)
                entries.append((Encoded(encoded.ids, bonus), item))
        return Trie(entries) if entries else None

    def _weight(self, item: Insertion) -> float:
        if item.kind == "word":
            rarer = min(RAREST, USUAL - item.logprob) if item.logprob else 0.0
            return self.weights.insertion + self.weights.rarity * rarer
        if item.leads_to is Place.END:
            return self.weights.end
        quote = self.weights.quote if item.kind == "quote" and item.leads_to is Place.OPEN else 0.0
        return quote + (self.weights.comma if "," in item.text else 0.0)

    def _form_trie(
        self, before: str, core: str, after: str, word: bool, following: tuple[str, ...], touching: bool, initial: bool,
        either: bool, dropped: bool, initials: float,
    ) -> Trie[Form]:  # fmt: skip
        entries = []
        written = self._initialism(core, initials) if initials else 0.0
        own_marks = not after and not core[-1:].isalnum()
        for form, starts in self._cased(core, word, following, initial, either, dropped):
            whole = form
            own = _marks_of(form.text) if own_marks else ""
            if before or after or own:
                whole = replace(form, text=before + form.text + after, after=after or own)
            text = ("" if touching else " ") + whole.text
            encoded = self.model.encode(text[:READ], initial=starts, touched=False, logprob=form.logprob)
            if encoded is not None:
                bonus = encoded.bonus + self.weights.prior * form.prior
                if form.asked:
                    bonus += self.weights.asked
                if form.span == 1 and form.text.lower() != core.lower():
                    bonus += self.weights.inflected
                if not starts and form.text[:1].isupper() and not form.text.isupper():
                    bonus += self.weights.capital
                if initials and form.text.startswith(core.upper()):
                    bonus += written
                if form.kept and starts and word:
                    bonus += self.weights.survivor
                entries.append((Encoded(encoded.ids, bonus), whole))
        return Trie(entries)

    def _cased(
        self, core: str, word: bool, following: tuple[str, ...], initial: bool, either: bool, dropped: bool
    ) -> Iterator[tuple[Form, bool]]:
        """Yield the forms that a core may have, and whether they start a sentence."""
        if not either:
            yield from ((form, initial) for form in self.candidates(core, word, following, initial, dropped))
            return
        inside = self.candidates(core, word, following, False, dropped)
        yield from ((form, False) for form in inside)
        known = {form.text for form in inside}
        starting = self.candidates(core, word, following, True, dropped)
        yield from ((form, True) for form in starting if form.text not in known)

    def _initialism(self, core: str, evidence: float) -> float:
        """Return what is added to a word's forms in capitals, given the evidence that it is an initialism, in nats.

        Where it is likelier one than not, by this and the lexicon, it is one throughout: the model would say so only
        where it knows that initialism.
        """
        share = sum(math.exp(form.prior) for form in self.finder.forms(core).single if form.text.startswith(core.upper()))
        if not 0 < share < 1:
            return evidence
        return self.weights.asked if evidence + math.log(share / (1 - share)) > 0 else evidence

    def candidates(
        self, core: str, word: bool, following: tuple[str, ...], initial: bool, dropped: bool = False
    ) -> list[Form]:
        """Return the forms that a core, or it and the tokens that follow, may have in one place."""
        if not word or dropped:
            kept = self.finder.kept(core)
            return [self._capitalised(form) for form in kept] if initial and dropped else list(kept)
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
            upper = self._capitalised(form) if form.kept else capitalised(form)
            if not form.kept and not self.finder.makes(upper.text, image):
                upper = form
            started.setdefault(upper.text, upper)
        return list(started.values())

    def _capitalised(self, form: Form) -> Form:
        """Return a form that the channel could not have made as it starts a sentence, if it strips to the same there."""
        upper, strip = capitalised(form), self.finder.channel.strip
        return upper if strip(upper.text) == strip(form.text) else form

    def in_brackets(self, held: int) -> float:
        """Return what one more input token in brackets that hold so many costs, in nats."""
        return self.weights.bracket * max(0, held + 1 - FREE)

    def grow_forms(
        self,
        parent: Hypothesis,
        node: Trie[Any] | None,
        logprobs: Sequence[float],
        growing: list[Growth],
        done: list[Growth],
        opinion: Opinion | None = None,
    ) -> None:
        """Add what a hypothesis becomes by each id of a form node: complete in `done`, else in `growing`."""
        if node is None:
            return
        base = parent.score - parent.hope
        if parent.node is None and parent.position.bracket and self.weights.bracket:
            base += self.in_brackets(tokens_in_brackets(parent.step))
        initial = parent.position.initial or parent.position.either
        for child, logprob in enumerate(logprobs):
            score = base + logprob
            for form, bonus in node.items[child]:
                if opinion is not None:
                    bonus += opinion.form(form, initial)
                if self.fusion is not None:
                    bonus += self.fused(parent.context, parent.position, form)
                done.append(Growth(score + bonus, parent, node, child, form, "form"))
            following = node.next[child]
            if following is not None:
                hope = following.potential
                growing.append(Growth(score + hope, parent, node, child, None, "form", hope))

    def grow_insertions(
        self,
        parent: Hypothesis,
        node: Trie[Any] | None,
        best: Sequence[tuple[int, float]],
        floor: float,
        growing: list[Growth],
        opinion: Opinion | None = None,
    ) -> None:
        """Add what a hypothesis becomes by the best ids of an insertion node, as far as they score above the floor."""
        if node is None:
            return
        base = parent.score - parent.hope
        advised = opinion is not None or self.fusion is not None
        most = opinion.most(parent.held) if opinion is not None else 0.0
        for child, logprob in best:
            score = base + logprob
            if score + node.potential + most <= floor:
                break
            for item, bonus in node.items[child]:
                if opinion is not None:
                    bonus += opinion.insertion(item, parent.held)
                if self.fusion is not None:
                    bonus += self.fused(parent.context, parent.position, item)
                growing.append(Growth(score + bonus, parent, node, child, item, "insertion"))
            following = node.next[child]
            if following is not None:
                hope = following.potential + most
                growing.append(Growth(score + hope, parent, node, child, None, "insertion", hope, advised))

    def tightened(self, growth: Growth, opinion: Opinion | None) -> Growth:
        """Return a candidate inside an insertion that hopes for no more than the best that it may become."""
        parent, following = growth.parent, growth.node.next[growth.child]
        assert following is not None
        hope = float("-inf")
        for item, bonus in following.all():
            if opinion is not None:
                bonus += opinion.insertion(item, parent.held)
            if bonus > hope:  # what the n-gram model adds is hardly ever above 0
                hope = max(hope, bonus + self.fused(parent.context, parent.position, item))
        return growth._replace(score=growth.score - growth.hope + hope, hope=hope, loose=False)

    def held_after(self, form: Form) -> Held:
        """Return what the gap after a form holds for the tagger before anything is inserted."""
        return NOTHING if self.adviser is None else self.adviser.after(form)

    def fused(self, context: Any, position: Position, item: Form | Insertion) -> float:
        """Return what the n-gram model adds for a unit at a position, in nats.

        Args:
            context: its context before the unit.
            position: where the unit stands.
            item: the unit.
        """
        if self.fusion is None or (isinstance(item, Insertion) and item.kind != "word"):  # it cannot tell where a sentence ends
            return 0.0
        return self.weights.fusion * self.fusion.score(context, *_read_by_fusion(position, item))

    def followed(self, context: Any, position: Position, item: Form | Insertion) -> Any:
        """Return the n-gram model's context after a unit at a position; see `fused`."""
        return None if self.fusion is None else self.fusion.follow(context, *_read_by_fusion(position, item))[1]

    def floor(self, scores: list[float]) -> float:
        """Return the score that a hypothesis must beat to go on, given the scores of those that are done.

        A full beam of done ones must not beat it, nor the best of them by more than the margin.
        """
        if len(scores) < self.beam:
            return float("-inf")
        best = nlargest(self.beam, scores)
        return max(best[-1], best[0] - self.weights.margin)

    def best_of(
        self, growing: list[Growth], floor: float, step: int, ahead: float = 0.0, opinion: Opinion | None = None
    ) -> list[Hypothesis]:
        """Make the best growing candidates of those above the floor.

        What inserts has the next form still before it, of which a half-written one has paid a part: so what that part
        costs at least is counted against it, as translation by phrases counts a future cost (Koehn, Och and Marcu 2003).
        Else there would always be something to insert that is likelier than the first piece of a rare word.
        The beam narrows by half every third step into a gap: few gaps are long.

        What is inside an insertion is worth what the best that it may become is; that is only asked of those that may be
        among the best at all.

        Args:
            growing: the candidates.
            floor: the score to beat, in nats.
            step: how many steps the search is into the gap.
            ahead: the log-probability of the best first id of a form so far, in nats.
            opinion: the tagger's, of this gap.
        """
        width = max(2, self.beam >> step // 3)
        waiting = [(-_rank(growth, ahead), number, growth) for number, growth in enumerate(growing) if growth.score > floor]
        heapify(waiting)
        best: list[Hypothesis] = []
        while waiting and len(best) < width:
            _, number, growth = heappop(waiting)
            if not growth.loose:
                best.append(self.made(growth))
            elif (tight := self.tightened(growth, opinion)).score > floor:
                heappush(waiting, (-_rank(tight, ahead), number, tight))
        return best

    def future(self, growth: Growth) -> Hashable | None:
        """Return a key such that candidates of equal keys have equal futures, or nearly so; None where there is no such key.

        Where a sentence began tells them apart for as long as it may turn out to have been wrong: see `Weights.apart`.
        """
        future = self.model.key(growth.parent.state, int(growth.node.ids[growth.child]))
        if future is None:
            return None
        position, since = growth.parent.position, growth.parent.since if self.weights.apart else 0
        return future, since, position.bracket, position.quote, growth.item.span, growth.item.after

    def recombined(self, done: list[Growth]) -> list[tuple[Growth, Hashable | None]]:
        """Keep, of candidates in order of score, the best of each future, a beam of them for each span."""
        kept: list[tuple[Growth, Hashable | None]] = []
        seen: set[Hashable] = set()
        width: dict[int, int] = defaultdict(int)
        for growth in done:
            span = growth.item.span
            if width[span] >= self.beam:
                continue
            key = self.future(growth)
            if key is not None:
                if key in seen:
                    continue
                seen.add(key)
            width[span] += 1
            kept.append((growth, key))
        return kept + self._apart(done, kept)

    def _apart(
        self, done: list[Growth], kept: list[tuple[Growth, Hashable | None]]
    ) -> list[tuple[Growth, Hashable | None]]:
        """Return the best candidate whose sentence begins elsewhere than all that are kept, if it is not too far behind."""
        if not self.weights.apart or not kept:
            return []
        first = kept[0][0]
        since = {growth.parent.since for growth, _ in kept if growth.item.span == first.item.span}
        if len(since) != 1:
            return []
        for growth in done:
            if growth.score < first.score - self.weights.apart:
                break
            if growth.parent.since not in since and growth.item.span == first.item.span:
                return [(growth, self.future(growth))]
        return []

    def pruned(self, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
        """Keep the best hypotheses of a beam, those not too far behind the first."""
        best = nlargest(self.beam, hypotheses, key=lambda hypothesis: hypothesis.score)
        kept = [one for one in best if one.score >= best[0].score - self.weights.live]
        if self.weights.apart and len({one.since for one in best}) == 1:
            least = best[0].score - self.weights.apart
            others = [one for one in hypotheses if one.since != best[0].since and one.score >= least]
            kept += nlargest(1, others, key=lambda hypothesis: hypothesis.score)
        return kept

    def end_floor(self, done: list[Growth], opinion: Opinion | None) -> float:
        """Return the score from which a candidate that ends the sentence in a gap is looked at; infinity if none is.

        Args:
            done: those that have left the gap.
            opinion: the tagger's, of this gap.
        """
        if not self.weights.apart or opinion is None or opinion.end_chance() < END_CHANCE or any(map(_ended, done)):
            return float("inf")
        return max([growth.score for growth in done], default=float("-inf")) - self.weights.apart

    def with_end(
        self, live: list[Hypothesis], growing: list[Growth], least: float, ahead: float, opinion: Opinion | None
    ) -> list[Hypothesis]:
        """Return the hypotheses that a gap goes on with, and one beside them that ends the sentence there, if it may end.

        A beam soon agrees on where a sentence began, and words further on may tell that it was wrong. Where the tagger
        thinks of an end, the best hypothesis with one is searched as well as the best without.

        Args:
            live: the hypotheses that go on in the gap.
            growing: the candidates that they were chosen from.
            least: the score to beat, in nats; see `end_floor`.
            ahead: the log-probability of the best first id of a form so far, in nats.
            opinion: the tagger's, of this gap.
        """
        if any(one.inserted and not one.since for one in live):
            return live
        ends = [growth for growth in growing if _ended(growth) and growth.score > least]
        ends = [self.tightened(growth, opinion) if growth.loose else growth for growth in ends]
        best = max(ends, key=lambda growth: _rank(growth, ahead), default=None)
        return live if best is None or best.score <= least else [*live, self.made(best)]

    def made(self, growth: Growth) -> Hypothesis:
        """Make the hypothesis of a candidate."""
        parent, item = growth.parent, growth.item
        pending = int(growth.node.ids[growth.child])
        if item is None:
            run: tuple[int, ...] = (pending,)
            after = growth.node.next[growth.child]
            if self.model.takes_runs:
                run, after = forced_run(growth.node, growth.child)
            return Hypothesis(
                growth.score, parent.state, run if len(run) > 1 else pending, parent.position, parent.step, parent.left,
                parent.inserted, after, growth.within, parent.origin, parent.offer, parent.context, parent.held, growth.hope,
                parent.since,
            )  # fmt: skip
        context = self.followed(parent.context, parent.position, item)
        if isinstance(item, Form):
            text = item.text if parent.position.touching else " " + item.text
            position = after_form(parent.position, item)
            step = Step(parent.step, item, text, position)
            return Hypothesis(
                growth.score, parent.state, pending, position, step, left_of(item), context=context, held=self.held_after(item),
                since=0 if position.place in ENDED else parent.since + item.span,
            )  # fmt: skip
        inserted = parent.inserted + 1
        position = parent.position.after(item, inserted < MAX_INSERTIONS)
        step = Step(parent.step, item, item.text, position)
        return Hypothesis(
            growth.score, parent.state, pending, position, step, parent.left, inserted,
            origin=parent.origin, offer=parent.offer, context=context,
            held=NOTHING if self.adviser is None else with_insertion(parent.held, item),
            since=0 if position.place in ENDED else parent.since,
        )  # fmt: skip

    def ends_text(self, growth: Growth, pin: Pin | None = None) -> bool:
        """Tell whether a text may end after a completed insertion, given what is settled about its end."""
        if pin is not None:
            steps = steps_between(growth.parent.step, growth.parent.origin.step)
            return bool("".join([step.text for step in steps]) + growth.item.text == pin.gap)
        return self.is_whole(growth.parent.position.after(growth.item, True))

    def is_whole(self, position: Position) -> bool:
        """Tell whether a text may end at a position."""
        if not self.grammar.ends:
            return True
        ended = position.place in ENDED or position.place is Place.DOTTED
        return ended and not (position.bracket or position.quote)


def tokens_in_brackets(step: Step | None) -> int:
    """Return how many input tokens the brackets that are open after a step hold so far, as far back as its window goes."""
    tokens = 0
    while step is not None and step.position.bracket:
        if isinstance(step.what, Form):
            tokens += step.what.span
        step = step.before
    return tokens


def _rank(growth: Growth, ahead: float) -> float:
    """Return what a candidate's score is compared by: what inserts has a form before it still; see `Decoder.best_of`."""
    return growth.score if growth.within == "form" else growth.score + ahead


def _ended(growth: Growth) -> bool:
    """Tell whether a candidate ends the sentence in its gap."""
    if isinstance(growth.item, Insertion) and growth.item.leads_to in ENDED:
        return True
    return growth.parent.inserted > 0 and not growth.parent.since


def _marks_of(core: str) -> str:
    """Return the marks that a token ends in, where the channel keeps them in it; an abbreviation's full stop is none."""
    if not core or core[-1].isalnum():
        return ""
    units = segment(core)
    first = next((number for number, unit in enumerate(units[::-1]) if any(map(str.isalnum, unit))), 0)
    return "".join(units[len(units) - first :])


def _begins(content: str, unit: str) -> bool:
    """Tell whether what is left of a gap's content begins with a unit, and not with a longer word."""
    rest = content[len(unit) :]
    if not content.startswith(unit):
        return False
    within = rest[:1].isalnum() or (rest[:1] in "'\u2019" and rest[1:2].isalpha() and not rest.startswith(CLITICS))
    return not (unit[-1].isalnum() and within)


def _only(
    node: Trie[Any], wanted: Callable[[Any], bool], made: Callable[[Any], Any] = lambda item: item
) -> Trie[Any]:
    """Return a trie with only the items wanted, and these as they are made to be."""
    entries: list[tuple[Encoded, Any]] = []

    def walk(here: Trie[Any], ids: tuple[int, ...]) -> None:
        for child, piece in enumerate(here.ids):
            spelled = (*ids, int(piece))
            entries.extend((Encoded(spelled, bonus), made(item)) for item, bonus in here.items[child] if wanted(item))
            following = here.next[child]
            if following is not None:
                walk(following, spelled)

    walk(node, ())
    return Trie(entries)


def steps_between(last: Step | None, root: Step | None) -> list[Step]:
    """Return the steps after `root` up to `last`, in order."""
    steps = []
    while last is not None and last is not root:
        steps.append(last)
        last = last.before
    return steps[::-1]


def _read_by_fusion(position: Position, item: Form | Insertion) -> tuple[str, bool, bool, float]:
    """Return a unit at a position as `Fusion` takes it: text, whether a sentence starts, whether the next touches it, ln P."""
    text = item.text[:READ]
    if isinstance(item, Form):
        return text if position.touching else " " + text, _starts(position, text), False, item.logprob
    return text, item.kind == "word" and _starts(position, text), touches(item), item.logprob


def _starts(position: Position, text: str) -> bool:
    """Tell whether a word starts a sentence at a position; where it may or may not, its capital says so."""
    return text.strip()[:1].isupper() if position.either else position.initial


def touches(insertion: Insertion) -> bool:
    """Tell whether what follows an insertion stands at it without a space."""
    return insertion.leads_to in (Place.OPEN, Place.DASH, Place.JOIN)


def left_of(form: Form) -> Side:
    """Return what the gap after a form knows of it."""
    return side_of(form.text)


def after_form(position: Position, form: Form) -> Position:
    """Return the position after a form, which depends on the marks that the input gave with it."""
    after = position.after_form()
    marks = form.after if any(char.isalnum() for char in form.text) else form.text
    bare = marks.rstrip("\"')]}\u201d\u2019")
    if bare and (bare[-1] in SENTENCE_ENDS):
        goes_on = bare.endswith(("...", "\u2026")) or (bare[-1] in "?!" and bare != marks)
        return replace(after, place=Place.END, initial=True, either=goes_on)
    if bare and bare[-1] in ",;:":
        return replace(after, place=Place.COMMA)
    if form.text.endswith("."):  # its own, as that of U.S.
        return replace(after, place=Place.DOTTED)
    return after
