"""The examples are what the commands make, and the notebook runs."""

from __future__ import annotations

import csv
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from restore import Restorer, strip_text
from restore.render import render_page

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def read(name: str) -> str:
    return (EXAMPLES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("original", "stripped", "channel"),
    [
        ("transcript_original.txt", "transcript_stripped.txt", "transcript"),
        ("abstract_original.txt", "abstract_stemmed.txt", "stemmed"),
    ],
)
def test_stripped_examples_are_stripped_originals(original: str, stripped: str, channel: str) -> None:
    assert strip_text(read(original), channel) + "\n" == read(stripped)
    restored = Restorer(channel=channel, engine="fast", repair=False).restore(read(stripped)).text
    assert strip_text(restored, channel) + "\n" == read(stripped)


class _Outline(HTMLParser):
    """The elements of a page that do not depend on the text: all but the spans of the text itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.outline: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("span", "bdi", "li", "div", "dt", "dd"):
            self.outline.append((tag, dict(attrs).get("id")))


def test_the_page_is_of_this_version() -> None:
    """Models change what is restored, and so only the structure of the page is compared."""
    restoration = Restorer(engine="fast").restore(read("immigration_stripped.txt"))
    page, kept = render_page(restoration, "immigration_stripped.txt"), read("immigration_restored.html")
    assert _Outline(page).outline == _Outline(kept).outline
    for whole in (
        r"<style>.*?</style>",
        r"<script>.*?</script>",
        r'http-equiv="Content-Security-Policy" content="[^"]*"',
    ):
        assert re.findall(whole, page, re.DOTALL) == re.findall(whole, kept, re.DOTALL), (
            "the page is out of date: restore examples/immigration_stripped.txt --html examples/immigration_restored.html"
        )
    words = [re.findall(r'data-s="\d+"><span class="c">([^<]*)', text) for text in (page, kept)]
    # Engines differ in what they take for two words glued together.
    assert "".join(words[0]) == "".join(words[1]) == "".join(read("immigration_stripped.txt").split())


def test_the_passages_are_a_table() -> None:
    with (EXAMPLES / "passages.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 24
    assert all(len(strip_text(row["original"]).split()) > 5 for row in rows)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_notebook_runs() -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    for package in ("ipykernel", "matplotlib"):
        pytest.importorskip(package)
    notebook = nbformat.read(EXAMPLES / "confidence.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert {"image/png", "text/html"} <= kinds
    assert not [output for output in outputs if output.output_type == "error"]
