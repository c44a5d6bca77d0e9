"""Other people's systems, made to look like ours so that they are scored on the same footing."""

from __future__ import annotations

import importlib.metadata
from functools import cache
from typing import Any

from restore.evaluation.systems import Baseline, System


@cache
def _truecaser() -> Any:
    import truecase

    return truecase.get_truecaser()


def restore_case(stripped: str) -> str:
    """Restore case by the `truecase` package (statistical, after Lita et al. 2003).

    The package's own front door puts its tokens together again as it sees fit (and needs a tokeniser that NLTK
    downloads). Its model is asked here for the tokens alone, which are written back where they stood.
    """
    from nltk.tokenize import NLTKWordTokenizer

    spans = list(NLTKWordTokenizer().span_tokenize(stripped))
    cased = _truecaser().get_true_case_from_tokens([stripped[start:end] for start, end in spans])
    parts, place = [], 0
    for (start, end), token in zip(spans, cased, strict=True):
        parts += [stripped[place:start], token if token.lower() == stripped[start:end] else stripped[start:end]]
        place = end
    return "".join([*parts, stripped[place:]])


def truecase_system() -> System:
    """Return the `truecase` package as a system.

    Raises:
        ImportError: it is not installed.
    """
    name = f"truecase-{importlib.metadata.version('truecase')}"
    _truecaser()
    return Baseline(name, restore_case)
