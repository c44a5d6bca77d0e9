"""The pipeline: from an input text to a Restoration, with everything loaded once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

from restore.abstention import Abstainer, LessSure
from restore.bundle import resources_folder
from restore.calibration import Calibrator, open_calibrator
from restore.casing import Casing
from restore.channel import Channel, channel_names, get_channel
from restore.channel.detection import READABLE, STEMMERS, detect_channel, detect_stems
from restore.config import AUTO, Config
from restore.cues import Cues
from restore.decoder import Decoder, Pin
from restore.engines import FAST, NEURAL, SETTINGS, engine_of, fallback, open_fusion, open_model, open_tagger
from restore.errors import InputError
from restore.flags import FlagFinder
from restore.fusion import Fusion
from restore.initials import weigh_initials
from restore.lattice import FormFinder, GapGrammar
from restore.lattice.forms import Form
from restore.lattice.gaps import MAX_INSERTIONS, Insertion
from restore.lexicon import Lexicon, default_lexicon
from restore.models.base import LanguageModel
from restore.opinion import Tagger
from restore.perplexity import log_probability, perplexity
from restore.reference import ReferenceScore, measure_reference, path_score
from restore.repair import Repair, Repairer
from restore.restoration import Assembler, Restoration
from restore.search import MOST_BEGUN, Search, advance, drive, drive_in_turn
from restore.source import SourceToken, TokenStream, read_source
from restore.style import Lists

READABLE_SHARE = 0.2
"""Share of stop words among the input tokens from which a text cannot have been stripped of them."""
READABLE_TOKENS = 10
"""Shorter texts are never taken for readable."""
SAMPLE = 2000
"""Tokens of a text by which that is judged."""
LEVEL_SHARE, LEVEL_SAMPLE = 0.05, 200
"""Share of words with capitals or marks from which a text was not stripped of them, and words by which that is judged."""
MAX_STEPS = MAX_INSERTIONS + 8
"""More units than a token and the gap before it can have."""

MOST_CHARACTERS = 256
"""Characters of a word that are read for it."""

SURE = 0.5
"""Probability from which a detected channel is taken."""
DETECTED = "stripped by the {name} channel ({probability:.0%}: {evidence})"
UNDETECTED = "no channel is likely ({evidence}); taken for {name}, give --channel if you know it"
MOST_RESTORERS = 8
"""Restorers that `restore_text` holds ready, those used last."""
JUDGING_BEAM = 3
"""Hypotheses of the searches that weigh repairs."""
WORDLESS = ("", ",", ".", ":")
"""What a gap without words may hold, in evidence on repairs."""

Progress = Callable[[int, int], None]
"""Called with how much of an input is restored, and how much there is, in characters."""

UNSTRIPPED = (
    "{share:.0%} of the words are ones that the {channel} channel drops, so this text was not stripped by it; "
    "it is returned unchanged ({hint})"
)

UNLEVELLED = (
    "{share:.0%} of the words have capitals or marks, which the {channel} channel takes away, so this text was not stripped "
    "by it; it is returned unchanged (it looks like prose that was never stripped)"
)

MENDED = "repaired first: {examples} ({count} in all; --json lists each, --no-repair leaves the input as it is)"
MOST_MENDED = 5
"""Repairs that a note names."""

STEMMED = (
    "the words look like stems ({probability:.0%}), most of all like those that channel {name} leaves; "
    "{channel} makes no words of them, so choose that channel if they are"
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
        self.channel: Channel = get_channel("nltk" if config.channel == AUTO else config.channel)
        self._others: dict[str, Restorer] = {}
        self._lock = Lock()

    @cached_property
    def _lexicon(self) -> Lexicon:
        return default_lexicon()

    @cached_property
    def _decoder(self) -> Decoder:
        with ThreadPoolExecutor(2) as beside:  # opening a model is mostly unpacking, which needs no Python
            model, tagger = beside.submit(lambda: self._model), beside.submit(lambda: self._tagger)
            finder = FormFinder(self.channel, self._lexicon, self.config.terms)
            grammar = GapGrammar(self.channel, self._lexicon)
        settings = SETTINGS[self._engine]
        beam = self.config.beam or settings.beam
        return Decoder(model.result(), finder, grammar, beam, settings.weights_for(self.channel), tagger.result(), self._fusion)

    @cached_property
    def _engine(self) -> str:
        return engine_of(self.config.engine, self.config.model)

    @cached_property
    def _model(self) -> LanguageModel:
        return open_model(self._engine, self.config.model)

    @cached_property
    def _tagger(self) -> Tagger | None:
        return open_tagger(self._engine, self.config.model)

    @cached_property
    def _fusion(self) -> Fusion | None:
        return open_fusion(self._engine, self.config.model)

    @cached_property
    def _judging(self) -> Decoder:
        """A narrow search with the fast engine, for evidence on repairs."""
        decoder, fusion = self._decoder, self._fusion
        model = decoder.model if self._engine == FAST else open_model(FAST) if fusion is None else fusion.model
        return Decoder(model, decoder.finder, decoder.grammar, JUDGING_BEAM, SETTINGS[FAST].weights)

    @cached_property
    def _repairer(self) -> Repairer:
        read = self._read if self._engine == NEURAL else None
        return Repairer(self.channel, self._decoder.finder, self._lexicon, self._judge, read)

    @cached_property
    def _calibrator(self) -> Calibrator:
        if not (self.config.calibration and self.config.confidence):
            return Calibrator({})
        own = None if self.config.model is None else Path(self.config.model) / "calibration"
        folder = own if own is not None and own.is_dir() else resources_folder() / "calibration"
        calibrator = open_calibrator(folder, self._decoder.name, self.channel.name)
        usual = self.channel.name in channel_names() and get_channel(self.channel.name) == self.channel
        return calibrator if usual or own is not None else replace(calibrator, fitted=False)

    @cached_property
    def flag_finder(self) -> FlagFinder:
        """What finds sense warnings, for the engine and channel in use."""
        words = {word.lower() for word in self._decoder.grammar.words}
        return FlagFinder(self._calibrator.rules, Cues.open(resources_folder() / "cues"), words.__contains__)

    def _abstainer(self, tokens: TokenStream, rule: LessSure) -> Abstainer | None:
        return Abstainer(self._decoder, tokens, rule, self._calibrator) if self.config.min_confidence else None

    @property
    def engine(self) -> str:
        """The name of the engine in use, with the checksum of its data."""
        return self._loaded().name

    def _loaded(self) -> Decoder:
        with self._lock:
            return self._decoder

    def restore(
        self, text: str, pins: Mapping[int, Pin] | None = None, progress: Progress | None = None
    ) -> Restoration:
        """Restore one text.

        Args:
            text: stripped text, of any length; white space separates its tokens.
            pins: what is fixed, by the number of an input token (`Edit.place`); the rest is decoded around it.
            progress: called whenever more of it is done.

        Returns:
            The restored text with its edits.

        Raises:
            ResourceError: a model or data file is missing or damaged.
            InputError: a pin cannot stand where it is.
        """
        begun = self._begun(text, pins, progress)
        if isinstance(begun, Restoration):
            return begun
        drive(begun.search, begun.restorer._loaded().model)
        return begun.restorer._finished(begun)

    def _begun(self, text: str, pins: Mapping[int, Pin] | None, progress: Progress | None) -> _Begun | Restoration:
        """Return what has to be searched for a text, or its restoration where there is nothing to search."""
        if self.config.channel == AUTO:
            other, said = self._detected(text)
            if other is None:
                return Restoration(text, text, (), channel="readable", engine=self.engine, notes=(said,))
            begun = other._begun(text, pins, progress)
            return replace(begun, notes=(said, *begun.notes))
        decoder = self._loaded()
        note = self._unfit(text)
        if note:
            return Restoration(text, text, (), channel=self.channel.name, engine=decoder.name, notes=(note,))
        repairs: list[Repair] = []
        tokens = self._tokens(text, repairs)
        tokens.keep = True
        done = None if progress is None else _Teller(tokens, len(text), progress)
        search = Search(decoder, tokens, done, pins, self.config.confidence)
        return _Begun(self, text, tokens, repairs, search, self._doubts(text))

    def _finished(self, begun: _Begun) -> Restoration:
        """Make the restoration of a text whose search is done."""
        decoder = self._decoder
        text, tokens, search = begun.text, begun.tokens, begun.search
        assembler = Assembler(text, tokens, self._calibrator)
        assembler.choices = search.choices
        casing = Casing(self._lexicon, self._same)
        casing.observe(search.steps, search.choices)
        units = casing.settled(search.steps)
        unsure = LessSure(self.config.min_confidence)
        if (abstainer := self._abstainer(tokens, unsure)) is not None:
            units = [*abstainer.settled(units, search.choices), *abstainer.finish()]
        for unit in self.config.style.apply(units, self._same):
            assembler.add(unit)
        prose = assembler.finish()
        words = [token.core.lower() for token in tokens.row(0, len(assembler.spans))]
        flags = self.flag_finder.find(assembler.decisions, search.choices, words, self.config.min_confidence)
        return Restoration(
            text=prose,
            source=text,
            edits=tuple(assembler.edits),
            kept=tuple(assembler.kept),
            spans=tuple(assembler.spans),
            repairs=tuple(begun.repairs),
            channel=self.channel.name,
            engine=decoder.name,
            notes=(*begun.notes, *unsure.notes()),
            choices=tuple(search.choices),
            seams=tuple(search.seams),
            score=search.score,
            decisions=tuple(assembler.decisions),
            flags=tuple(sorted(flags, key=lambda flag: (flag.start, flag.end, flag.kind, flag.message))),
            calibrated=self._calibrator.fitted,
        )

    def stream(self, text: str, notes: list[str] | None = None, progress: Progress | None = None) -> Iterator[str]:
        """Restore one text, yielding the prose as it is ready, in memory that does not grow with the text's length.

        Args:
            text: stripped text, of any length.
            notes: what a reader should know is added to it; what was repaired, when all prose has been yielded.
            progress: called whenever more of it is done, before that prose is yielded.

        Raises:
            ResourceError: a model or data file is missing or damaged.
        """
        if self.config.channel == AUTO:
            other, said = self._detected(text)
            if notes is not None:
                notes.append(said)
            yield from (text,) if other is None else other.stream(text, notes, progress)
            return
        decoder = self._loaded()
        note = self._unfit(text)
        if note:
            if notes is not None:
                notes.append(note)
            yield text
            return
        if notes is not None:
            notes += self._doubts(text)
        repairs: list[Repair] = []
        mended = _Mended()
        tokens = self._tokens(text, repairs)
        assembler = Assembler(text, tokens)
        window = decoder.model.window
        unsure = LessSure(self.config.min_confidence)
        abstainer = self._abstainer(tokens, unsure)
        writer = _Writer(assembler, 0 if window is None else window.before * MAX_STEPS, self, abstainer)
        teller = None if progress is None else _Teller(tokens, len(text), progress)

        def done(search: Search) -> None:
            if teller is not None:
                teller(search)
            writer(search)
            mended.take(repairs)

        search = Search(decoder, tokens, done, posteriors=self.config.confidence)
        for _ in advance(search, decoder.model):
            yield from writer.taken()
        writer.finish()
        yield from writer.taken()
        yield assembler.finish()
        if notes is not None:
            notes += mended.note()
            notes += unsure.notes()

    def measure_reference(self, stripped: str, original: str) -> ReferenceScore:
        """Force a known original through the lattice: oracle recall, without a search and its scores.

        Args:
            stripped: the original, stripped by this restorer's channel.
            original: the text.
        """
        return self._measured(stripped, original)[0]

    def score_reference(self, stripped: str, original: str) -> ReferenceScore:
        """Force a known original through the lattice: oracle recall, and whether the search missed it.

        Args:
            stripped: the original, stripped by this restorer's channel.
            original: the text.
        """
        decoder = self._loaded()
        counts, path = self._measured(stripped, original)
        window = decoder.model.window
        if path is None or (window is not None and counts.tokens_total > window.most):
            return counts
        search = Search(decoder, TokenStream(read_source(stripped, self.channel)))
        drive(search, decoder.model)
        score = path_score(decoder, TokenStream(read_source(stripped, self.channel)), path)
        return replace(counts, output_score=search.score, reference_score=score)

    def _measured(self, stripped: str, original: str) -> tuple[ReferenceScore, list[Form | Insertion] | None]:
        """Return what the lattice holds of an original, and the path that spells it if it holds all."""
        from restore.evaluation.marks import level, squeeze

        levelled = squeeze(level(original)).strip()  # what the scores take for the same is the same here
        if self.channel.strip(levelled) == self.channel.strip(original):
            original = levelled
        starts = [token.start for token in self.channel.tokens(original)]
        tokens = TokenStream(read_source(stripped, self.channel))
        return measure_reference(self._loaded(), tokens, original, starts)

    def perplexity(self, source: str, text: str | None = None) -> float | None:
        """Return the engine's own perplexity of a text, a unit; None where there is nothing to measure.

        Args:
            source: the stripped text, which some engines read first.
            text: the text to measure, or None for the stripped text itself.
        """
        return perplexity(self._loaded().model, source, source if text is None else text)

    def restore_many(self, texts: Iterable[str], together: int | None = None) -> Iterator[Restoration]:
        """Restore texts, in order.

        Args:
            texts: stripped texts, taken as they are needed.
            together: how many are in work at a time at most, which is quicker with the neural engine and changes no
                text; what suits the engine if not given.
        """
        decoder = self._loaded()
        room, most = (sys.maxsize, max(1, together)) if together else (SETTINGS[self._engine].windows, MOST_BEGUN)
        begun = (self._begun(text, None, None) for text in texts)
        for one in drive_in_turn(begun, _search_of, decoder.model, room, most):
            yield one.restorer._finished(one) if isinstance(one, _Begun) else one

    def _judge(self, tokens: Sequence[SourceToken], wordless: int | None) -> tuple[str, float]:
        """Return the best restoration of a few tokens by the fast engine, and its score in nats.

        Args:
            tokens: they.
            wordless: the number of a token with no word before it, if there is one.
        """
        found = []
        for mark in WORDLESS if wordless is not None else ("",):
            pins = None if wordless is None else {wordless: Pin(gap=mark)}
            search = Search(self._judging, TokenStream(tokens), pins=pins, posteriors=False)
            try:
                drive(search, self._judging.model)
            except InputError:  # a mark that the channel would keep
                continue
            found.append(("".join(step.text for step in search.steps).lstrip(), search.score))
        return max(found, key=lambda one: one[1])

    def _read(self, text: str) -> float:
        """Return ln P of a text by the engine's own model."""
        return log_probability(self._decoder.model, text)

    def _detected(self, text: str) -> tuple[Restorer | None, str]:
        """Return a restorer for the channel that a text shows, or None if it was never stripped, and what to say of it."""
        found = detect_channel(text)
        sure = found.probability >= SURE
        if sure and found.name == READABLE:
            return None, f"the text was not stripped ({'; '.join(found.evidence)}); it is returned unchanged"
        name = found.name if sure else self.channel.name
        said = DETECTED if sure else UNDETECTED
        with self._lock:
            if name not in self._others:
                other = Restorer(replace(self.config, channel=name))
                other.share(self)
                self._others[name] = other
            other = self._others[name]
        return other, said.format(name=name, probability=found.probability, evidence="; ".join(found.evidence))

    def share(self, other: Restorer) -> None:
        """Use the models that another restorer of the same engine has loaded; they are safe to use by both."""
        if "_engine" not in other.__dict__:  # it has loaded none, and may have options with which it never can
            return
        if (self._engine, self.config.model) == (other._engine, other.config.model):
            for name in ("_model", "_tagger", "_fusion"):
                if name in other.__dict__:
                    self.__dict__.setdefault(name, other.__dict__[name])

    def _same(self, one: str, other: str) -> bool:
        """Tell whether two spellings strip to the same."""
        return self.channel.strip(one) == self.channel.strip(other)

    def _tokens(self, text: str, repairs: list[Repair]) -> TokenStream:
        tokens: Iterable[SourceToken] = weigh_initials(read_source(text, self.channel))
        if self.config.repair:
            tokens = self._repairer.repair(tokens, repairs, text)
        return TokenStream(tokens)

    def _unfit(self, text: str) -> str | None:
        """Say why a text should not be restored, if so, judging by its beginning."""
        tokens = list(islice(read_source(text, self.channel), SAMPLE))
        if not tokens:
            return "the text has no words"
        if len(tokens) < READABLE_TOKENS:
            return None
        if not self.channel.stop_words:
            return self._unlevelled(text)
        share = self._dropped_share(tokens)
        if share > READABLE_SHARE:
            return UNSTRIPPED.format(share=share, channel=self.channel.name, hint=self._rather(text))
        return None

    def _unlevelled(self, text: str) -> str | None:
        """Say why a text should not be restored by a channel that drops no words: it has capitals and marks as prose has."""
        words = [word[:MOST_CHARACTERS] for word in text.split(None, LEVEL_SAMPLE)[:LEVEL_SAMPLE]]
        share = sum(self.channel.strip(word) != word for word in words) / len(words)
        if share > LEVEL_SHARE and (found := detect_channel(text)).name == READABLE and found.probability >= SURE:
            return UNLEVELLED.format(share=share, channel=self.channel.name)
        return None

    def _rather(self, text: str) -> str:
        """Say what a text is that was not stripped by the channel."""
        found = detect_channel(text)
        if found.name == self.channel.name or found.probability < SURE:
            return "give the channel that it was stripped by"
        if found.name == READABLE:
            return "it looks like prose that was never stripped"
        return f"it looks like the work of channel {found.name}, {found.probability:.0%}: give that one"

    def _doubts(self, text: str) -> tuple[str, ...]:
        """Say what speaks against the channel of a text that is restored all the same, and against the engine."""
        fell = fallback(self.config.engine, self.config.model)
        return (*self._stems(text), *([] if fell is None else [fell]))

    def _stems(self, text: str) -> tuple[str, ...]:
        """Say that a text looks stemmed, if so, judging by its beginning."""
        if self.channel.map in STEMMERS or (found := detect_stems(text)) is None:
            return ()
        name, probability = found
        return (STEMMED.format(name=name, probability=probability, channel=self.channel.name),)

    def _dropped_share(self, tokens: list[SourceToken]) -> float:
        """Return the share of tokens that the channel would have dropped and could not have made of other words."""
        words = (token.core for token in tokens if token.word)
        dropped = (word for word in words if self.channel.image(word) is None)
        finder = self._decoder.finder
        return sum(finder.forms(word.lower()).single[0].kept for word in dropped) / len(tokens)


@dataclass(frozen=True)
class _Begun:
    """A text whose search is still to be run.

    Attributes:
        restorer: whose channel it is restored by.
        text: the input.
        tokens, repairs: its tokens, and what was repaired in them.
        search: the search.
        notes: what a reader should know.
    """

    restorer: Restorer
    text: str
    tokens: TokenStream
    repairs: list[Repair]
    search: Search
    notes: tuple[str, ...] = ()


def _search_of(begun: _Begun | Restoration) -> Search | None:
    return begun.search if isinstance(begun, _Begun) else None


class _Teller:
    """Tells how much of an input is restored, whenever its search has done more of it.

    Args:
        tokens: the input's tokens.
        size: the input's length, in characters.
        progress: is told.
    """

    def __init__(self, tokens: TokenStream, size: int, progress: Progress) -> None:
        self._tokens = tokens
        self._size = size
        self._progress = progress

    def __call__(self, search: Search) -> None:
        done = search.restored
        ended = self._tokens.upto(done + 1) == done
        self._progress(self._size if ended else self._tokens[done - 1].end, self._size)


class _Writer:
    """Takes what each block of windows of a search has chosen into a text, and forgets it.

    Args:
        assembler: makes the text.
        keep: how many of a search's last steps to keep for the windows that follow.
        restorer: knows the lexicon and the style.
        abstainer: leaves out what is too unsure, if anything.
    """

    def __init__(self, assembler: Assembler, keep: int, restorer: Restorer, abstainer: Abstainer | None) -> None:
        self._assembler = assembler
        self._keep = keep
        self._restorer = restorer
        self._abstainer = abstainer
        self._casing = Casing(restorer._lexicon, restorer._same)
        self._lists = Lists()
        self._written = 0
        self._held: list[Form | Insertion] = []
        self._ready: list[str] = []

    def __call__(self, search: Search) -> None:
        steps = search.steps[self._written :]
        self._casing.observe(steps, search.choices)
        units = self._casing.settled(steps)
        if self._abstainer is not None:
            units = list(self._abstainer.settled(units, search.choices))
        self._add(units)
        search.choices.clear()
        search.seams.clear()
        del search.steps[: max(0, len(search.steps) - self._keep)]
        self._written = len(search.steps)

    def finish(self) -> None:
        """Take what is left at the end of the text."""
        self._add(list(self._abstainer.finish()) if self._abstainer is not None else [])
        self._write(self._held, None)

    def _add(self, units: Sequence[Form | Insertion]) -> None:
        """Write units, all but the last form and what goes with it: how these are styled depends on what follows."""
        units = [*self._held, *units]
        forms = [number for number, unit in enumerate(units, 1) if isinstance(unit, Form)]
        cut = forms[-2] if len(forms) > 1 else 0
        self._held = units[cut:]
        if cut:
            self._write(units[:cut], units[cut])

    def _write(self, units: Sequence[Form | Insertion], following: Form | Insertion | None) -> None:
        for unit in self._restorer.config.style.apply(units, self._restorer._same, self._lists, following):
            self._assembler.add(unit)
        self._ready.append(self._assembler.take())

    def taken(self) -> list[str]:
        """Return the text that is ready and was not yet returned."""
        ready, self._ready = self._ready, []
        return ready


class _Mended:
    """Counts repairs, and remembers the first few: all would fill memory."""

    def __init__(self) -> None:
        self._count = 0
        self._first: list[Repair] = []

    def take(self, repairs: list[Repair]) -> None:
        """Count the repairs of a list, and empty it."""
        self._count += len(repairs)
        self._first = [*self._first, *repairs][:MOST_MENDED]
        repairs.clear()

    def note(self) -> list[str]:
        """Return what to say of them, if there were any."""
        if not self._count:
            return []
        examples = [f"{repair.before} to {repair.after}" for repair in self._first]
        if self._count > len(examples):
            examples.append("...")
        return [MENDED.format(count=self._count, examples=", ".join(examples))]


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
    config = replace(config or Config(), **options)
    if config.channel != AUTO:  # read here, as a file of this name may say something else the next time
        config = replace(config, channel=get_channel(config.channel))
    return _restorer(config).restore(text)


def _restorer(config: Config) -> Restorer:
    with _RESTORERS_LOCK:
        found = _RESTORERS.pop(config, None) or Restorer(config)
        for other in _RESTORERS.values():
            found.share(other)
        _RESTORERS[config] = found
        if len(_RESTORERS) > MOST_RESTORERS:
            del _RESTORERS[next(iter(_RESTORERS))]
        return found


_RESTORERS: dict[Any, Restorer] = {}  # the one used last is the last
_RESTORERS_LOCK = Lock()
