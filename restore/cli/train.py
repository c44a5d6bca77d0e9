"""`restore train`: make models and tables from text."""

from __future__ import annotations

from pathlib import Path

import click

from restore.errors import RestoreError

NEEDS_EXTRA = (
    "training needs the package {name!r}, which is not installed; install the extra: pip install 'restore-prose[train]'"
)

_FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
_OUT = click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The folder to write.")


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
@click.option("--dev", multiple=True, type=click.Path(path_type=Path), help="Other text, for the card's perplexities.")
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

    train(
        files, out, order=order, vocabulary=vocabulary, cutoffs=cutoffs[: order - 1], weights=_weights(weights), dev=dev,
        progress=lambda line: click.echo(line, err=True),
    )  # fmt: skip


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

    build_wordnet(database, out, licence.read_text(encoding="utf-8"))


def _weights(pairs: tuple[str, ...]) -> dict[str, float]:
    weights = {}
    for pair in pairs:
        name, _, number = pair.partition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            raise click.BadParameter(f"{pair!r} is not NAME=NUMBER", param_hint="--weight") from None
    return weights
