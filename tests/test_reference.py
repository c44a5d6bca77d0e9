"""The oracle: an original, forced through the lattice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from restore import Restorer, strip_text
from restore.decoder import Pin
from restore.lattice.gaps import Insertion
from restore.reference import measure_reference, path_score
from restore.search import Search, drive
from restore.source import TokenStream, read_source

ORIGINAL = 'The minister said, "Officials agree."'


def marks(restorer: Restorer) -> list[str]:
    """Return the marks on the path of the original through a restorer's lattice."""
    channel = restorer.channel
    tokens = TokenStream(read_source(channel.strip(ORIGINAL), channel))
    starts = [token.start for token in channel.tokens(ORIGINAL)]
    _, path = measure_reference(restorer._decoder, tokens, ORIGINAL, starts)
    assert path is not None
    return [what.text for what in path if isinstance(what, Insertion) and what.kind != "word"]


@pytest.mark.parametrize(
    "written",
    [
        "The minister\u2019s aides said, \u201cWe don\u2019t agree.\u201d\r\nOfficials left.",
        "The minister's aides  said, \"We don't agree.\"\n\nOfficials left.",
    ],
)
def test_what_the_scores_take_for_the_same_is_the_same_to_the_oracle(fast: Restorer, written: str) -> None:
    plain = "The minister's aides said, \"We don't agree.\"\nOfficials left."
    assert strip_text(plain) == strip_text(written)
    assert fast.measure_reference(strip_text(written), written) == fast.measure_reference(strip_text(plain), plain)


def test_marks_are_merged_where_the_model_writes_them_as_one(by_chance: Callable[[str, int], Restorer]) -> None:
    """The search scores such runs as one piece: scored as two, the original would seem unlikelier than it is."""
    assert marks(by_chance("nltk", 2)) == [",", ' "', '."']
    assert marks(by_chance("nltk", 3)) == [",", ' "', ".", '"']


def test_the_original_is_scored_as_the_search_would_in_brackets_too(fast: Restorer) -> None:
    text = "minister said old official near border agreed slowly people left"
    gaps = {2: " (", 8: ")", **dict.fromkeys((3, 4, 5, 6, 7, 9), "")}
    decoder, (tokens, again) = fast._decoder, (TokenStream(read_source(text, fast.channel)) for _ in range(2))
    search = Search(decoder, tokens, pins={place: Pin(gap=gap) for place, gap in gaps.items()}, posteriors=False)
    drive(search, decoder.model)
    path = [step.what for step in search.steps]
    assert " (" in [what.text for what in path]
    assert path_score(decoder, again, path) == pytest.approx(search.score, abs=1e-3)
