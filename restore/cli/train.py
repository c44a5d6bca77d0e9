"""`restore train`: make models and tables from text."""

from __future__ import annotations

import math
from pathlib import Path

import click

from restore.config import AUTO, ENGINES
from restore.errors import InputError, RestoreError

NEEDS_EXTRA = (
    "training needs the package {name!r}, which is not installed; install the extra: pip install 'restore-prose[train]'"
)

FEW = 1_000_000
"""Words and marks of text, fewer of which make a poor n-gram model."""
LITTLE_TEXT = "the model has seen {pieces:,} words and marks, which is too little to guess well; give it millions"
FEW_DOCUMENTS = 20
"""Documents, fewer of which tell little about confidences."""
LITTLE_TO_FIT = "confidences were fitted to {documents} documents, which is too few to trust them; give at least 20"
NO_FOLDER = "{path}: is a file; name a folder for the output, new or not"


def _folder(ctx: click.Context, param: click.Parameter, path: Path) -> Path:
    """Refuse an output that can be no folder, before any work is done."""
    if path.exists() and not path.is_dir():
        raise InputError(NO_FOLDER.format(path=path))
    return path


_FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
_OUT = click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), callback=_folder, help="The folder to write."
)

_DRAWN = click.option(
    "--weight", "weights", multiple=True, metavar="NAME=NUMBER",
    help="How much oftener a source (a file's name without .txt) is drawn from; those that are not named count 1.",
)  # fmt: skip
_RESTART = click.option("--restart", is_flag=True, help="Begin anew where OUT holds a run that could go on.")


@click.group()
def train_command() -> None:
    """Make models and tables from your own text.

    FILES hold running text in UTF-8, plain or .xz or .gz: one paragraph a line, documents closed by a line %%%.
    """


@train_command.command()
@_FILES
@_OUT
@click.option("--order", type=click.IntRange(2, 4), default=4, show_default=True, help="Units counted together.")
@click.option("--vocabulary", type=click.IntRange(100, 65_536), default=50_000, show_default=True, help="Units known.")
@click.option(
    "--cutoff",
    "cutoffs",
    type=float,
    nargs=3,
    default=(0, 2, 2),
    show_default=True,
    help="Fewest occurrences for which n-grams of 2, 3 and 4 units are kept.",
)
@click.option(
    "--weight", "weights", multiple=True, metavar="NAME=NUMBER", help="How much a file counts; without it, 1."
)
@click.option(
    "--dev", multiple=True, type=click.Path(path_type=Path),
    help="Other text, on whose documents of even number the card's perplexities are measured.",
)  # fmt: skip
def ngram(
    files: tuple[Path, ...],
    out: Path,
    order: int,
    vocabulary: int,
    cutoffs: tuple[float, float, float],
    weights: tuple[str, ...],
    dev: tuple[Path, ...],
) -> None:
    """Train an n-gram model; use it with `restore --model OUT`."""
    from restore.training.ngram import train

    bundle = train(
        files, out, order=order, vocabulary=vocabulary, cutoffs=cutoffs[: order - 1], weights=_weights(weights), dev=dev,
        progress=lambda line: click.echo(line, err=True),
    )  # fmt: skip
    if bundle.card["pieces"] < FEW:
        click.echo(f"restore: note: {LITTLE_TEXT.format(pieces=bundle.card['pieces'])}", err=True)


@train_command.command()
@_FILES
@_OUT
@click.option(
    "--list", "lists", multiple=True, type=click.Path(path_type=Path), help="A word list, one cased word a line."
)
@click.option(
    "--wordfreq/--no-wordfreq", default=True, show_default=True, help="Mix in the wordfreq package's frequencies."
)
def lexicon(files: tuple[Path, ...], out: Path, lists: tuple[Path, ...], wordfreq: bool) -> None:
    """Make the lexicon: word forms with frequencies, casings and preimages."""
    try:
        from restore.training.lexicon import build_lexicon, wordfreq_shares
    except ModuleNotFoundError as error:
        raise RestoreError(NEEDS_EXTRA.format(name=error.name)) from error
    from restore.channel import get_channel

    try:
        frequencies = wordfreq_shares() if wordfreq else None
    except ModuleNotFoundError as error:
        raise RestoreError(NEEDS_EXTRA.format(name=error.name)) from error
    build_lexicon(files, out, frequencies=frequencies, word_lists=lists, short_parts=get_channel("nltk").stop_words)


@train_command.command()
@click.argument("database", type=click.Path(path_type=Path, exists=True, file_okay=False))
@_OUT
@click.option("--licence", type=click.Path(path_type=Path, exists=True), required=True, help="WordNet's licence text.")
def wordnet(database: Path, out: Path, licence: Path) -> None:
    """Make the lemma table from the folder of a WordNet 3.0 database."""
    from restore.training.wordnet import build_wordnet

    try:
        text = licence.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{licence}: byte {error.start} is not UTF-8; give the licence as plain text in UTF-8") from error
    build_wordnet(database, out, text)


@train_command.command()
@_FILES
@_OUT
@click.option(
    "--base",
    type=click.Path(path_type=Path),
    help="What to go on from: a folder with a Llama-type model in safetensors, a GGUF file, or a model that this command "
    "made. Without it, the model that comes with restore.",
)
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True),
    help="How long to train, stops not counted; this or --tokens is needed.",
)  # fmt: skip
@click.option("--tokens", type=click.IntRange(min=1), help="How many tokens to train on: repeatable, as time is not.")
@click.option("--held-out", type=click.Path(path_type=Path), help="Text whose odd-numbered documents are measured on.")
@click.option("--seed", type=int, default=0, show_default=True, help="What the windows depend on.")
@click.option(
    "--learning-rate", type=float, help="The highest; 3e-4, or 1e-4 where the base is a model that this command made."
)
@click.option("--step-tokens", type=int, default=2400, show_default=True, help="Tokens of one step.")
@click.option(
    "--drafts", type=click.FloatRange(0, 1), default=0.0, show_default=True,
    help="Share of the windows that the model reads as restore might have written them, while it learns the original.",
)  # fmt: skip
@click.option(
    "--keep", type=click.FloatRange(0, 1), default=0.0, show_default=True,
    help="The base's share of the weights in the end: 0.35 gave less loss than 0 where the base was trained to restore.",
)  # fmt: skip
@click.option("--prune", type=int, default=0, show_default=True, help="Drop pieces of the vocabulary rarer than this.")
@click.option("--channel", "channels", multiple=True, metavar="NAME=SHARE", help="Channels that strip, and their shares.")
@_DRAWN
@_RESTART
def neural(
    files: tuple[Path, ...],
    out: Path,
    base: Path | None,
    minutes: float | None,
    tokens: int | None,
    held_out: Path | None,
    seed: int,
    learning_rate: float | None,
    step_tokens: int,
    drafts: float,
    keep: float,
    prune: int,
    channels: tuple[str, ...],
    weights: tuple[str, ...],
    restart: bool,
) -> None:
    """Train a neural model; use it with `restore --model OUT`.

    Hours of work, saved every few minutes: a command that was stopped goes on where it was. The checkpoint, from which
    `--base OUT/checkpoint` goes on without loss, is in OUT/checkpoint; OUT itself is the small, rounded model.
    """
    try:
        from restore.training.adaptation import adapt
    except ModuleNotFoundError as error:
        raise RestoreError(NEEDS_EXTRA.format(name=error.name)) from error

    adapt(
        files, out, base=base, held_out=held_out, resume=not restart,
        channels=_weights(channels, option="--channel") or None, weights=_weights(weights) or None,
        minutes=minutes, tokens=tokens, seed=seed, learning_rate=learning_rate, step_tokens=step_tokens,
        drafts=drafts, keep=keep, prune=prune,
    )  # fmt: skip


@train_command.command()
@_FILES
@_OUT
@click.option(
    "--base",
    type=click.Path(path_type=Path),
    help="What to go on from: a folder with a BERT or an MPNet in safetensors, or a tagger. Without it, the tagger that comes "
    "with restore.",
)
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True),
    help="How long to train, stops not counted; this or --gaps is needed.",
)  # fmt: skip
@click.option("--gaps", type=click.IntRange(min=1), help="How many gaps to train on: repeatable, as time is not.")
@click.option("--held-out", type=click.Path(path_type=Path), help="Text whose odd-numbered documents are measured on.")
@click.option("--seed", type=int, default=0, show_default=True, help="What the rows depend on.")
@click.option("--learning-rate", type=float, default=4e-4, show_default=True, help="The highest.")
@click.option("--channel", "channels", multiple=True, metavar="NAME=SHARE", help="Channels that strip, and their shares.")
@_DRAWN
@_RESTART
@click.option(
    "--keep", type=click.FloatRange(0, 1), default=0.0, show_default=True,
    help="The base's share in the end: 0.4 is better than 0 on other text where the base is a tagger.",
)  # fmt: skip
@click.option(
    "--beside", multiple=True, type=click.Path(path_type=Path),
    help="The folder of a run with another --seed and all else the same, on another core, say: average the two in the end.",
)  # fmt: skip
@click.option(
    "--mean", multiple=True, type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A tagger that this one goes on from, or an earlier one: all of them get equal shares of the weights in the end.",
)  # fmt: skip
@click.option("--layers", type=click.IntRange(min=1), help="Keep so many of the base's layers, from the lowest.")
@click.option(
    "--lower", type=click.Path(path_type=Path),
    help="A tagger made of the base's lower layers: go on from its last encoder, with the base's further ones on top.",
)  # fmt: skip
@click.option(
    "--teacher", type=click.Path(path_type=Path),
    help="A tagger with the base's vocabulary: have its tags, and learn from what it holds of the text as well.",
)  # fmt: skip
@click.option("--join", is_flag=True, help="Put the teacher's encoders beside the new one, as they are.")
@click.option(
    "--levels", type=click.IntRange(1, 63), multiple=True,
    help="The largest integer that weights are rounded to in the end, once for each encoder: fewer take less room.",
)  # fmt: skip
@click.option(
    "--share", type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="What the encoder that is trained counts beside others; if not given, what it counted in the base, or as much as each.",
)  # fmt: skip
@click.option("--rows", type=click.IntRange(min=1), default=24, show_default=True, help="Rows of 160 pieces in a step.")
def tagger(
    files: tuple[Path, ...],
    out: Path,
    base: Path | None,
    minutes: float | None,
    gaps: int | None,
    held_out: Path | None,
    seed: int,
    learning_rate: float,
    channels: tuple[str, ...],
    weights: tuple[str, ...],
    restart: bool,
    keep: float,
    beside: tuple[Path, ...],
    mean: tuple[Path, ...],
    layers: int | None,
    lower: Path | None,
    teacher: Path | None,
    join: bool,
    levels: tuple[int, ...],
    share: float | None,
    rows: int,
) -> None:
    """Train a tagger, which reads the stripped text on both sides of each gap and advises the search.

    A stopped run goes on where it was.
    """
    try:
        from restore.training.tagger import train
    except ModuleNotFoundError as error:
        raise RestoreError(NEEDS_EXTRA.format(name=error.name)) from error
    from restore.bundle import resources_folder

    train(
        files, out, base=base or resources_folder() / "tagger", held_out=held_out, minutes=minutes, gaps=gaps, seed=seed,
        learning_rate=learning_rate, channels=_weights(channels, option="--channel") or None, weights=_weights(weights) or None,
        keep=keep, beside=beside, mean=mean, layers=layers, lower=lower, teacher=teacher, join=join, levels=levels, share=share,
        rows=rows, resume=not restart,
        report=lambda line: click.echo(line, err=True),
    )  # fmt: skip


@train_command.command()
@_FILES
@_OUT
@click.option("--engine", type=click.Choice(ENGINES), default=AUTO, show_default=True, help="Whose confidences to fit.")
@click.option("--model", type=click.Path(path_type=Path), help="A model's folder in place of the engine's own.")
@click.option("--channel", "channels", multiple=True, default=("nltk",), show_default=True, help="Channels to fit for.")
@click.option("--half", type=click.Choice(["odd", "even", "all"]), default="odd", show_default=True, help="Documents used.")
@click.option("--words", multiple=True, metavar="NAME=NUMBER", help="Take so many words of each document of a file.")
@click.option("--weight", "weights", multiple=True, metavar="NAME=NUMBER", help="How much a file's documents count.")
def calibration(
    files: tuple[Path, ...],
    out: Path,
    engine: str,
    model: Path | None,
    channels: tuple[str, ...],
    half: str,
    words: tuple[str, ...],
    weights: tuple[str, ...],
) -> None:
    """Fit confidences and warnings to text that the model has not seen; OUT is a bundle, or MODEL/calibration."""
    from restore.training.calibration import train_calibration

    seen: dict[str, int] = {}

    def progress(name: str, done: int) -> None:
        seen[name] = done
        click.echo(f"{name}: {done} documents", err=True)

    train_calibration(
        files, out, engine=engine, model=model, channels=channels, half=half,
        words={name: int(number) for name, number in _weights(words, files, "--words").items()} or None,
        weights=_weights(weights, files) or None, progress=progress,
    )  # fmt: skip
    if (fewest := min(seen.values(), default=0)) < FEW_DOCUMENTS:
        click.echo(f"restore: note: {LITTLE_TO_FIT.format(documents=fewest)}", err=True)


@train_command.command()
@_FILES
@_OUT
@click.option("--channel", default="nltk", show_default=True, help="How the text is stripped.")
@click.option("--weight", "weights", multiple=True, metavar="NAME=NUMBER", help="How much a file counts; without it, 1.")
def cues(files: tuple[Path, ...], out: Path, channel: str, weights: tuple[str, ...]) -> None:
    """Learn which words tell that a negation, a direction or a person was dropped near them."""
    from restore.training.cues import train_cues

    train_cues(
        files, out, channel=channel, weights=_weights(weights, files) or None, progress=lambda line: click.echo(line, err=True)
    )


@train_command.command()
@_FILES
@_OUT
def detection(files: tuple[Path, ...], out: Path) -> None:
    """Make the table that tells by which channel a text was stripped."""
    from restore.training.detection import train_detection

    train_detection(files, out)


def _weights(pairs: tuple[str, ...], files: tuple[Path, ...] = (), option: str = "--weight") -> dict[str, float]:
    """Return numbers by the names of files, of which each must be one of `files` if there are any."""
    weights = {}
    from restore.training.documents import stem

    names = {stem(path) for path in files}
    for pair in pairs:
        name, _, number = pair.partition("=")
        if names and name not in names:
            raise click.BadParameter(f"{pair!r}: the files are {', '.join(sorted(names))}", param_hint=option)
        try:
            weights[name] = float(number)
        except ValueError:
            raise click.BadParameter(f"{pair!r} is not NAME=NUMBER", param_hint=option) from None
        if not (math.isfinite(weights[name]) and weights[name] > 0):
            raise click.BadParameter(f"{pair!r}: the number must be above 0, and finite", param_hint=option)
    return weights
