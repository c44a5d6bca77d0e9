"""Surface forms: what a token of the input may have looked like in the original.

The forms of a token are the preimage of the channel's word map over the lexicon, in every casing that is attested or
plausible, and whole units of which the channel drops a part (`U.S.` for `u`). Each was put through the channel: a form
is in the lattice because stripping it gives the token, not because a rule says that it should.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from restore.channel import Channel
from restore.channel.channel import CAPITAL_DOTTED_I, DOTTED_I
from restore.lexicon import Entry, Lexicon
from restore.terms import index_terms
from restore.units import CLITICS

MAX_FORMS = 24
"""Forms of one token that are kept, the most probable ones."""
MAX_UNITS = 400
"""Units of the lexicon that are looked at for one token, such as "U.S." for `u`, the most frequent ones."""
MAX_LENGTH = 64
"""Longer tokens are taken as they are, in characters: no word is that long, and a search would be slow."""
UNKNOWN = -18.0
"""log P of a word that the lexicon lacks, in nats."""

# How an unknown word is cased, as shares: it is a name more often than not, and an acronym if it cannot be spoken.
_UNKNOWN_CASES = {"lower": 0.4, "title": 0.55, "upper": 0.05}
_UNSPOKEN_CASES = {"lower": 0.15, "title": 0.2, "upper": 0.65}
# Chances of a casing that the lexicon has not seen, beside the known ones of the word.
_UNSEEN_TITLE, _UNSEEN_UPPER, _UNSEEN_LOWER = 0.02, 0.0005, 0.01


@dataclass(frozen=True, slots=True)
class Form:
    """A surface form of one input token, or of several neighbours.

    Attributes:
        text: the form as the output would show it.
        span: how many input tokens it stands for.
        prior: log P(form | token) by the lexicon alone, in nats.
        logprob: log P(form) among all running words, in nats.
        kept: the channel could not have produced the token, which therefore stands as it is.
        after: marks at its end that the input gave.
        asked: the user has asked for this spelling.
        unstyled: what it was before the house style changed it, if it did.
    """

    text: str
    span: int
    prior: float
    logprob: float
    kept: bool = False
    after: str = ""
    asked: bool = False
    unstyled: str = ""

    @property
    def plain(self) -> str:
        """The text as the model had it."""
        return self.unstyled or self.text


@dataclass(frozen=True, slots=True)
class TokenForms:
    """The forms of a token by itself, and those that it begins together with the tokens named."""

    single: tuple[Form, ...]
    joint: tuple[tuple[tuple[str, ...], Form], ...]


class FormFinder:
    """Finds the surface forms of tokens under a channel. Safe to share between threads."""

    def __init__(self, channel: Channel, lexicon: Lexicon, terms: Iterable[str] = ()) -> None:
        self._terms = index_terms(terms, channel)
        self.channel = channel
        self._channel = channel
        self._lexicon = lexicon
        self._find = lru_cache(maxsize=1 << 15)(self._token_forms)
        self._given = lru_cache(maxsize=1 << 14)(self._given_form)
        self._long = lru_cache(maxsize=2)(self._long_forms)  # more of such would fill memory

    def forms(self, token: str) -> TokenForms:
        """Return the forms of a token, the most probable first. `single` is never empty.

        A token that no text could have produced has one form, itself, marked `kept`.
        """
        return self._find(token) if len(token) <= MAX_LENGTH else self._long(token)

    def given(self, word: str) -> tuple[Form, ...]:
        """Return the forms of a word that is not as the channel writes it, such as one with a capital: itself."""
        return self._given(word) if len(word) <= MAX_LENGTH else self._given_form(word)

    def kept(self, text: str) -> tuple[Form, ...]:
        """Return the forms of a piece that stands as it is, but for a first capital where a sentence starts."""
        return (Form(text, 1, 0.0, UNKNOWN, kept=True),)

    def makes(self, text: str, tokens: Sequence[str]) -> bool:
        """Tell whether the channel strips `text` to just these tokens."""
        return [token.text for token in self._channel.iterate(text)] == list(tokens)

    def _given_form(self, word: str) -> tuple[Form, ...]:
        token = word.lower() if self._channel.lowercase else word
        if not self.makes(word, [token]):
            return self.kept(word)
        known = [entry.logprob for entry in self._lexicon.variants(word.lower()) if entry.form == word]
        return (Form(word, 1, 0.0, known[0] if known else UNKNOWN),)

    def _token_forms(self, token: str) -> TokenForms:
        shares = self._word_shares(token)
        single = {form: share for form, share in shares.items() if self.makes(form, [token])}
        joint: list[tuple[tuple[str, ...], Form]] = []
        for entry in self._units_with(token, shares):
            image = tuple(found.text for found in self._channel.iterate(entry.form))
            if image == (token,):
                single[entry.form] = max(single.get(entry.form, 0.0), math.exp(entry.logprob))
            elif len(image) > 1 and image[0] == token:
                form = Form(entry.form, len(image), 0.0, entry.logprob)
                joint.append((image, form))
        if not single:
            single = self._search(token)
        if token in self._terms:
            asked, more = self._asked_for(token, single)
            return TokenForms(asked or _ranked(single), (*more, *joint))
        if not single:
            return TokenForms(self.kept(token), ())
        return TokenForms(_ranked(single), tuple(joint))

    def _asked_for(
        self, token: str, single: dict[str, float]
    ) -> tuple[tuple[Form, ...], list[tuple[tuple[str, ...], Form]]]:
        """Return the terms of the user's that a token is, and those that it begins.

        A term that ends in a lower-case word may take that word's other forms ("non-citizen", "non-citizens").
        """
        asked: dict[str, float] = {}
        joint: list[tuple[tuple[str, ...], Form]] = []
        for image, term in self._terms[token]:
            last = self.channel.tokens(term)[-1]
            run = term[last.start : last.end]
            endings = [run]
            if run == run.lower() and run.isalpha():
                endings += [form for form in self._word_shares(image[-1]) if form == form.lower() and form != run]
            for ending in endings:
                text = term[: last.start] + ending + term[last.end :]
                if not self.makes(text, image):
                    continue
                if len(image) == 1:
                    asked[text] = max(asked.get(text, 0.0), single.get(text, math.exp(UNKNOWN)))
                else:
                    joint.append((image, Form(text, len(image), 0.0, UNKNOWN, asked=True)))
        return tuple(replace(form, asked=True) for form in _ranked(asked)) if asked else (), joint

    def _word_shares(self, token: str) -> dict[str, float]:
        """Return candidate forms of a token, unchecked, with their shares of running words."""
        words = {token.lower(), token}
        words.update(entry.form.lower() for entry in self._lexicon.preimage(self._channel.map, token))
        shares: dict[str, float] = {}
        for word in sorted(words):
            for form, share in self._cased(word):
                shares[form] = max(share, shares.get(form, 0.0))
        return shares

    def _cased(self, word: str) -> Iterable[tuple[str, float]]:
        entries = self._lexicon.variants(word)
        if not entries:
            yield from self._cased_unknown(word)
            return
        seen = {entry.form: math.exp(entry.logprob) for entry in entries}
        total = sum(seen.values())
        seen.setdefault(word, total * _UNSEEN_LOWER)
        seen.setdefault(word[:1].upper() + word[1:], total * _UNSEEN_TITLE)
        seen.setdefault(word.upper(), total * _UNSEEN_UPPER * (50 if _unspoken(word) else 1))
        yield from seen.items()

    def _cased_unknown(self, word: str) -> Iterable[tuple[str, float]]:
        base = math.exp(UNKNOWN)
        if len(word) > 1 and not (word[0].isalnum() and word[-1].isalnum()):  # a mark that the channel keeps
            before, inner, after = (word[0], word[1:], "") if not word[0].isalnum() else ("", word[:-1], word[-1])
            yield from ((before + form + after, share) for form, share in self._cased(inner))
            return
        if compound := self._cased_compound(word):
            yield from ((form, base * share) for form, share in compound)
            return
        yield from ((form, base * share) for form, share in unknown_cases(word))

    def _cased_compound(self, word: str) -> list[tuple[str, float]]:
        """Case a word of several parts ("francisco's", "anglo-american") as its parts are cased."""
        for clitic in CLITICS:
            if word.endswith(clitic) and len(word) > len(clitic):
                return _normalised((form + clitic, share) for form, share in self._cased(word[: -len(clitic)]))
        for joiner in dict.fromkeys((*self._channel.keep, "-")):
            if joiner in word.strip(joiner):
                parts = word.split(joiner)
                joined = joiner.join(self._best_case(part) if part else "" for part in parts)
                title = joiner.join(part[:1].upper() + part[1:] for part in parts)
                first = joined[:1].upper() + joined[1:]
                return [(first, 0.1), (word, 0.1), (title, 0.1), (word[:1] + title[1:], 0.03), (joined, 0.67)]
        return []

    def _best_case(self, word: str) -> str:
        return max(self._cased(word), key=lambda pair: pair[1])[0]

    def _units_with(self, token: str, shares: Iterable[str]) -> Iterable[Entry]:
        parts = sorted({token} | {form.lower() for form in shares})[:8]
        found = {entry.form: entry for part in parts for entry in self._lexicon.with_part(part)}
        return sorted(found.values(), key=lambda entry: -entry.logprob)[:MAX_UNITS]

    def _search(self, token: str) -> dict[str, float]:
        """Search for any string that the channel turns into the token, where no real word is known to."""
        found: dict[str, float] = {}
        for candidate in self._channel.word_map.candidates(token):
            spelled = candidate.replace(DOTTED_I, CAPITAL_DOTTED_I)  # elsewhere the dot would part the word
            for form in (candidate, spelled, candidate[:1].upper() + candidate[1:], candidate.upper()):
                if form not in found and self.makes(form, [token]):
                    found[form] = math.exp(UNKNOWN - 0.5 * len(found))
            if len(found) >= 6:
                break
        return found

    def _long_forms(self, token: str) -> TokenForms:
        found = [token] if self.makes(token, [token]) else list(self._search(token))[:1]
        if not found:
            return TokenForms(self.kept(token), ())
        return TokenForms((Form(found[0], 1, 0.0, UNKNOWN),), ())


def capitalised(form: Form) -> Form:
    """Return the form as it starts a sentence; a mixed form such as `iPhone` stays as it is."""
    text = form.text
    for place, char in enumerate(text):
        if char.isalpha():
            if char.isupper() or any(other.isupper() for other in text[place + 1 :]):
                return form
            upper = char.upper()
            # Characters whose capital leads elsewhere (ß, ﬁ, µ) stay, as the way back would differ.
            return replace(form, text=text[:place] + upper + text[place + 1 :]) if upper.lower() == char else form
        if char.isdigit():
            return form
    return form


def unknown_cases(word: str) -> list[tuple[str, float]]:
    """Return the casings of a lower-case word of which nothing is known, with their chances."""
    if not word[:1].isalpha():
        return [(word, 0.98), (word.upper(), 0.02)] if word.upper() != word else [(word, 1.0)]
    cases = _UNSPOKEN_CASES if _unspoken(word) else _UNKNOWN_CASES
    return [(word, cases["lower"]), (word[:1].upper() + word[1:], cases["title"]), (word.upper(), cases["upper"])]


def _unspoken(word: str) -> bool:
    return 1 < len(word) <= 5 and word.isalpha() and not set(word.lower()) & set("aeiouy")


def _normalised(pairs: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    rows = list(pairs)
    total = sum(share for _, share in rows) or 1.0
    return [(form, share / total) for form, share in rows]


def _ranked(shares: dict[str, float]) -> tuple[Form, ...]:
    best = sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_FORMS]
    total = sum(share for _, share in best) or 1.0
    return tuple(
        Form(form, 1, math.log(max(share, 1e-30) / total), math.log(max(share, 1e-30))) for form, share in best
    )
