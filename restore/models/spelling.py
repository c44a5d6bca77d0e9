r"""How a tokenizer writes units: the pieces that it makes of a unit in the middle of a text.

A unit that is encoded by itself is not what it is in a text. Tokenizers of SentencePiece's kind put a space before
whatever they are given:

    encode("word")        ▁word            as " word" is in a text
    encode(" word")       ▁ ▁word          as nothing is
    encode("\nword")      ▁ \n word        so "word" is  word
    encode("\n word")     ▁ \n ▁word       and " word" is  ▁word

So a unit is encoded after an *anchor*, whose pieces are then taken away. An anchor serves a unit if its pieces stay
what they are, and if all pieces read as the anchor and the unit.
"""

from __future__ import annotations

from typing import Any

Ids = tuple[int, ...]

ANCHORS = ("\n", "a", ".")
SPELT = ("The", " minister", ",", " and", ".", "'s", "-", "citizens", " 6", "000", ' "', "Why", "?", " (", "in", ")")
"""Units that a tokenizer must write as they stand."""

MISSPELT = "its tokenizer writes {text!r} as {written!r}, so it cannot write English as it stands"


class Speller:
    """Writes units with a tokenizer.

    Attributes:
        merges: whether the tokenizer makes fewer pieces of a run of marks than of each.
        lead: what a text must begin with for its first unit to have the pieces that it has everywhere: a line's end,
            where the tokenizer would put a space before the first word; else nothing.
    """

    def __init__(self, tokenizer: Any) -> None:
        """Try a tokenizer.

        Args:
            tokenizer: a `tokenizers.Tokenizer`. The names of its special pieces are made to mean nothing in texts.

        Raises:
            ValueError: it cannot write English as it stands.
        """
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self._anchors = [(anchor, ids, self._read(ids)) for anchor in ANCHORS if (ids := self._ids(anchor))]
        for text in SPELT:
            ids, exact = self.pieces(text)
            if not exact:
                raise ValueError(MISSPELT.format(text=text, written=self._read(ids)))
        self.merges = len(self.pieces('."')[0]) < len(self.pieces(".")[0]) + len(self.pieces('"')[0])
        spaced = self._ids(SPELT[0]) != self.pieces(SPELT[0])[0]
        self.lead = self._ids("\n") if spaced and self.pieces("\n")[1] else ()

    def pieces(self, text: str) -> tuple[Ids, bool]:
        """Return the pieces of one unit or more, and whether they read as the text does.

        What is not in the tokenizer's alphabet, or is another letter to it, is whatever it makes of it.
        """
        for anchor, before, written in self._anchors:
            ids = self._ids(anchor + text)
            size = len(before)
            if len(ids) > size and ids[:size] == before and self._read(ids) == written + text:
                return ids[size:], True
        return self._ids(text), False

    def _ids(self, text: str) -> Ids:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _read(self, ids: Ids) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))
