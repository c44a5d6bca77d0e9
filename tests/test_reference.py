"""The oracle: an original, forced through the lattice."""

from __future__ import annotations

from collections.abc import Callable

from restore import Restorer
from restore.lattice.gaps import Insertion
from restore.reference import measure_reference
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


def test_marks_are_merged_where_the_model_writes_them_as_one(by_chance: Callable[[str, int], Restorer]) -> None:
    """The search scores such runs as one piece: scored as two, the original would seem unlikelier than it is."""
    assert marks(by_chance("nltk", 2)) == [",", ' "', '."']
    assert marks(by_chance("nltk", 3)) == [",", ' "', ".", '"']
