"""The `nltk` channel equals the usual recipe run with NLTK itself. Needs a WordNet 3.0 folder (Debian's packages).

Run with: pytest -m wordnet
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nltk
import pytest
from click.testing import CliRunner
from nltk.stem import WordNetLemmatizer

from restore import get_channel, strip_text
from restore.bundle import resources_folder
from restore.channel.presets import stop_list
from restore.channel.wordmaps import word_map
from restore.cli.train import train_command
from restore.lexicon import default_lexicon

DATABASE = Path(os.environ.get("RESTORE_WORDNET", "/usr/share/wordnet"))
ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.wordnet


@pytest.fixture(scope="module")
def lemmatizer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WordNetLemmatizer]:
    # NLTK refuses data that others may write, and wants a file of lexicographer names that Debian leaves out.
    home = tmp_path_factory.mktemp("nltk_data")
    folder = home / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    for source in DATABASE.iterdir():
        if source.is_file():
            shutil.copyfile(source, folder / source.name)
    if not (folder / "lexnames").exists():
        (folder / "lexnames").write_text("".join(f"{n:02}\tname{n}\t1\n" for n in range(45)))
    old = list(nltk.data.path)
    nltk.data.path[:] = [str(home)]
    yield WordNetLemmatizer()
    nltk.data.path[:] = old


def usual_recipe(text: str, lemmatizer: WordNetLemmatizer) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", " ", text).lower().split()
    return " ".join(lemmatizer.lemmatize(word) for word in words if word not in stop_list("nltk"))


def words() -> set[str]:
    lexicon = default_lexicon()
    forms = (lexicon.entry(index).form for index in range(len(lexicon)))
    return {run for form in forms for run in re.findall(r"[a-z0-9]+", form.lower())}


def test_is_wordnet_3_0() -> None:
    assert "WordNet 3.0 Copyright" in (DATABASE / "data.noun").read_text()[:3000]


def test_lemmas_of_the_whole_lexicon(lemmatizer: WordNetLemmatizer) -> None:
    ours = word_map("wordnet-noun").apply
    every = words()
    assert len(every) > 100_000
    assert {
        word: (ours(word), lemmatizer.lemmatize(word)) for word in every if ours(word) != lemmatizer.lemmatize(word)
    } == {}


def test_every_wordnet_entry_and_its_regular_forms(lemmatizer: WordNetLemmatizer) -> None:
    ours = word_map("wordnet-noun").apply
    rows = [
        row for part in ("noun", "verb", "adj", "adv") for row in (DATABASE / f"index.{part}").read_text().splitlines()
    ]
    # No channel that lemmatises has tokens with `_`, which joins the words of an entry.
    lemmas = {lemma for row in rows if not row.startswith("  ") and "_" not in (lemma := row.split(" ", 1)[0])}
    assert len(lemmas) > 70_000
    for lemma in lemmas:
        for word in (lemma, lemma + "s", lemma + "es", lemma[:-1] + "ies", lemma[:-1] + "ves", lemma[:-2] + "men"):
            assert ours(word) == lemmatizer.lemmatize(word), word


def test_first_change_over_parts_of_speech(lemmatizer: WordNetLemmatizer) -> None:
    ours = word_map("wordnet-nvar").apply
    for word in sorted(words())[::7]:
        changed = [lemma for part in "nvar" if (lemma := lemmatizer.lemmatize(word, part)) != word]
        assert ours(word) == (changed[0] if changed else word), word


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.txt")]))
def test_real_text(path: Path, lemmatizer: WordNetLemmatizer) -> None:
    text = path.read_text(encoding="utf-8")
    assert strip_text(text) == usual_recipe(text, lemmatizer)


def test_lists_given_in_the_environment(lemmatizer: WordNetLemmatizer) -> None:
    """Whole corpora, where RESTORE_CORPUS names a folder of texts; else the texts above stand alone."""
    for path in sorted(Path(os.environ.get("RESTORE_CORPUS", ROOT / "examples")).rglob("*.txt")):
        text = path.read_text(encoding="utf-8")
        assert get_channel("nltk").strip(text) == usual_recipe(text, lemmatizer), path.name


def test_the_table_is_what_its_command_makes(tmp_path: Path) -> None:
    shipped = resources_folder() / "wordnet"
    args = ["wordnet", str(DATABASE), "-o", str(tmp_path / "out"), "--licence", str(shipped / "LICENSE")]
    done = CliRunner().invoke(train_command, args)
    assert done.exit_code == 0, done.output
    made, known = (json.loads((folder / "card.json").read_text(encoding="utf-8")) for folder in (tmp_path / "out", shipped))
    assert made["files"] == known["files"]  # sizes and checksums
