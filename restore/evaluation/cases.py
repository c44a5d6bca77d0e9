"""Case and spelling of one form: what the scores on capitals and numbers compare."""

from __future__ import annotations

CASES = ("lower", "title", "upper", "mixed")

_BEFORE_NUMBER = "([{\"'"
_AFTER_NUMBER = ".,;:!?)]}\"'\u2026"


def case_class(form: str) -> str:
    """Return `lower`, `title`, `upper` or `mixed`, or the empty string for a form without letters.

    >>> [case_class(form) for form in ("men", "Men", "A", "US", "U.S.", "McCain", "O'Rourke", "3rd", "6")]
    ['lower', 'title', 'title', 'upper', 'upper', 'mixed', 'mixed', 'lower', '']
    """
    letters = form if form.isalpha() else "".join(filter(str.isalpha, form))
    if not letters:
        return ""
    if letters == letters.lower():
        return "lower"
    if letters[1:] == letters[1:].lower():
        return "title"
    return "upper" if letters == letters.upper() else "mixed"


def same_casing(reference: str, system: str) -> bool:
    """Tell whether two forms are cased alike: letter by letter if they are spelled alike, else by class.

    >>> same_casing("McCain", "MCcain"), same_casing("Officials", "Official"), same_casing("US", "Us")
    (False, True, False)
    """
    if reference.lower() == system.lower():
        return reference == system
    return case_class(reference) == case_class(system)


def number_text(text: str, start: int, end: int) -> str:
    """Return the whole number that the form at `start:end` of a levelled text is a part of.

    That is all that is written without white space or a dash around it, less brackets, quotes and sentence marks at
    either end: a reader takes `$6,000` in at one glance, and a run of digits by itself is never wrong.

    >>> number_text('It cost ($6,000).', 10, 11)
    '$6,000'
    """
    while start and not (text[start - 1].isspace() or text[start - 1] == "\u2014"):
        start -= 1
    while end < len(text) and not (text[end].isspace() or text[end] == "\u2014"):
        end += 1
    return text[start:end].lstrip(_BEFORE_NUMBER).rstrip(_AFTER_NUMBER)
