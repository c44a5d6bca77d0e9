"""The pipeline: from an input text to a Restoration, with everything loaded once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from threading import Lock
from typing import Any

from restore.bundle import resources_folder
from restore.casing import Casing
from restore.channel import Channel, get_channel
from restore.config import Config
from restore.decoder import Decoder, Pin, Weights
from restore.lattice import FormFinder, GapGrammar
from restore.lattice.gaps import MAX_INSERTIONS
from restore.lexicon import Lexicon, default_lexicon
from restore.models.base import LanguageModel
from restore.reference import ReferenceScore, measure_reference, path_score
from restore.repair import Repair, Repairer
from restore.restoration import Assembler, Restoration
from restore.search import Search, advance, drive
from restore.source import SourceToken, TokenStream, read_source

READABLE_SHARE = 0.2
"""Share of stop words among the input tokens from which a text cannot have been stripped of them."""
READABLE_TOKENS = 10
"""Shorter texts are never taken for readable."""
SAMPLE = 2000
"""Tokens of a text by which that is judged."""
MAX_STEPS = MAX_INSERTIONS + 8
"""More units than a token and the gap before it can have."""

JUDGING_BEAM = 3
"""Hypotheses of the searches that weigh repairs."""

UNSTRIPPED = (
    "{share:.0%} of the words are ones that the {channel} channel drops, so this text was not stripped by it; "
    "it is returned unchanged (choose another channel, or none)"
)


class Restorer:
    """Restores texts. Holds the models, which are loaded on first use; safe to use from several threads.

    Args:
        config: the options; those given by name replace its own.

    Raises:
        RestoreError: an option is out of its range.
    """

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        if config is None:
            config = Config(**options)
        elif options:
            config = Config(**{**config.__dict__, **options})
        self.config = config
        self.channel: Channel = get_channel(config.channel)
        self._lock = Lock()

    @cached_property
    def _lexicon(self) -> Lexicon:
        return default_lexicon()

    @cached_property
    def _decoder(self) -> Decoder:
        finder = FormFinder(self.channel, self._lexicon, self.config.terms)
        grammar = GapGrammar(self.channel, self._lexicon)
        return Decoder(self._model, finder, grammar, self.config.beam, Weights())

    @cached_property
    def _model(self) -> LanguageModel:
        from restore.models.ngram import NgramModel
        from restore.models.words import WordModel

        return WordModel(NgramModel.open(self.config.model or resources_folder() / "ngram"))

    @cached_property
    def _judging(self) -> Decoder:
        """A narrow search with the fast engine, for evidence on repairs."""
        decoder = self._decoder
        return Decoder(decoder.model, decoder.finder, decoder.grammar, JUDGING_BEAM, decoder.weights)

    @cached_property
    def _repairer(self) -> Repairer:
        return Repairer(self.channel, self._decoder.finder, self._lexicon, self._judge)

    @property
    def engine(self) -> str:
        """The name of the engine in use, with the checksum of its data."""
        return self._loaded().model.name

    def _loaded(self) -> Decoder:
        with self._lock:
            return self._decoder

    def restore(self, text: str, pins: Mapping[int, Pin] | None = None) -> Restoration:
        """Restore one text.

        Args:
            text: stripped text, of any length; white space separates its tokens.
            pins: what is fixed, by the number of an input token (`Edit.place`); the rest is decoded around it.

        Returns:
            The restored text with its edits.

        Raises:
            ResourceError: a model or data file is missing or damaged.
            InputError: a pin cannot stand where it is.
        """
        decoder = self._loaded()
        note = self._unfit(text)
        if note:
            return Restoration(text, text, (), channel=self.channel.name, engine=decoder.model.name, notes=(note,))
        repairs: list[Repair] = []
        tokens = self._tokens(text, repairs)
        tokens.keep = True
        search = Search(decoder, tokens, pins=pins)
        drive(search, decoder.model)
        assembler = Assembler(text, tokens)
        assembler.choices = search.choices
        casing = Casing(self._lexicon)
        casing.observe(search.steps, search.choices)
        for unit in self.config.style.apply(casing.settled(search.steps), self._same):
            assembler.add(unit)
        return Restoration(
            text=assembler.finish(),
            source=text,
            edits=tuple(assembler.edits),
            kept=tuple(assembler.kept),
            spans=tuple(assembler.spans),
            repairs=tuple(repairs),
            channel=self.channel.name,
            engine=decoder.model.name,
            choices=tuple(search.choices),
            score=search.score,
        )

    def stream(self, text: str, notes: list[str] | None = None) -> Iterator[str]:
        """Restore one text, yielding the prose as it is ready, in memory that does not grow with the text's length.

        Args:
            text: stripped text, of any length.
            notes: what a reader should know is added to it.

        Raises:
            ResourceError: a model or data file is missing or damaged.
        """
        decoder = self._loaded()
        note = self._unfit(text)
        if note:
            if notes is not None:
                notes.append(note)
            yield text
            return
        tokens = self._tokens(text, [])
        assembler = Assembler(text, tokens)
        window = decoder.model.window
        writer = _Writer(assembler, 0 if window is None else window.before * MAX_STEPS, self)
        for _ in advance(Search(decoder, tokens, writer), decoder.model):
            yield from writer.taken()
        yield from writer.taken()
        yield assembler.finish()

    def score_reference(self, stripped: str, original: str) -> ReferenceScore:
        """Force a known original through the lattice: oracle recall, and whether the search missed it.

        Args:
            stripped: the original, stripped by this restorer's channel.
            original: the text.
        """
        decoder = self._loaded()
        starts = [token.start for token in self.channel.tokens(original)]

        def tokens() -> TokenStream:
            return TokenStream(read_source(stripped, self.channel))

        counts, path = measure_reference(decoder, tokens(), original, starts)
        window = decoder.model.window
        if path is None or (window is not None and len(starts) > window.width + window.ahead):
            return counts
        search = Search(decoder, tokens())
        drive(search, decoder.model)
        return replace(counts, output_score=search.score, reference_score=path_score(decoder, tokens(), path))

    def restore_many(self, texts: Iterable[str]) -> Iterator[Restoration]:
        """Restore texts one after the other, in order, as they come."""
        for text in texts:
            yield self.restore(text)

    def _judge(self, tokens: Sequence[SourceToken]) -> float:
        """Return the score of the best restoration of a few tokens, in nats, by the fast engine."""
        search = Search(self._judging, TokenStream(tokens))
        drive(search, self._judging.model)
        return search.score

    def _same(self, one: str, other: str) -> bool:
        """Tell whether two spellings strip to the same."""
        return self.channel.strip(one) == self.channel.strip(other)

    def _tokens(self, text: str, repairs: list[Repair]) -> TokenStream:
        tokens: Iterable[SourceToken] = read_source(text, self.channel)
        if self.config.repair:
            tokens = self._repairer.repair(tokens, repairs, text)
        return TokenStream(tokens)

    def _unfit(self, text: str) -> str | None:
        """Say why a text should not be restored, if so, judging by its beginning."""
        tokens = list(islice(read_source(text, self.channel), SAMPLE))
        if not tokens:
            return "the text has no words"
        share = self._dropped_share(tokens)
        if share > READABLE_SHARE and len(tokens) >= READABLE_TOKENS:
            return UNSTRIPPED.format(share=share, channel=self.channel.name)
        return None

    def _dropped_share(self, tokens: list[SourceToken]) -> float:
        """Return the share of tokens that the channel would have dropped and could not have made of other words."""
        words = (token.core for token in tokens if token.word)
        dropped = (word for word in words if self.channel.image(word) is None)
        finder = self._decoder.finder
        return sum(finder.forms(word.lower()).single[0].kept for word in dropped) / len(tokens)


class _Writer:
    """Takes what each window of a search has chosen into a text, and forgets it.

    Args:
        assembler: makes the text.
        keep: how many of a search's last steps to keep for the windows that follow.
        restorer: knows the lexicon and the style.
    """

    def __init__(self, assembler: Assembler, keep: int, restorer: Restorer) -> None:
        self._assembler = assembler
        self._keep = keep
        self._restorer = restorer
        self._casing = Casing(restorer._lexicon)
        self._written = 0
        self._ready: list[str] = []

    def __call__(self, search: Search) -> None:
        steps = search.steps[self._written :]
        self._casing.observe(steps, search.choices)
        for unit in self._restorer.config.style.apply(self._casing.settled(steps), self._restorer._same):
            self._assembler.add(unit)
        self._ready.append(self._assembler.take())
        search.choices.clear()
        del search.steps[: max(0, len(search.steps) - self._keep)]
        self._written = len(search.steps)

    def taken(self) -> list[str]:
        """Return the text that is ready and was not yet returned."""
        ready, self._ready = self._ready, []
        return ready


def restore_text(text: str, config: Config | None = None, **options: Any) -> Restoration:
    """Restore one stripped text.

    >>> str(restore_text(""))
    ''

    Args:
        text: stripped text.
        config: the options.
        **options: options of `Config` by name, in place of the config's.

    Raises:
        RestoreError: an option is out of its range, or a data file is missing or damaged.
    """
    return _restorer(config, tuple(sorted(options.items()))).restore(text)


def _restorer(config: Config | None, options: tuple[tuple[str, Any], ...]) -> Restorer:
    key = (config, options)
    with _RESTORERS_LOCK:
        if key not in _RESTORERS:
            _RESTORERS[key] = Restorer(config, **dict(options))
        return _RESTORERS[key]


_RESTORERS: dict[Any, Restorer] = {}
_RESTORERS_LOCK = Lock()
