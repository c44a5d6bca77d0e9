"""Women and men in training text: where they are, and the same text with each in the other's place.

A restorer has to know from a text that a woman is spoken of to put "she" and not "he" where a word was dropped. Most prose
has three men to a woman, and much has no person at all, so a model learns what is commoner and leaves it at that. Where women
and men have changed places, what is commoner helps no longer (Maudslay et al. 2019, "It's All in the Name: Mitigating Gender
Bias with Name-Based Counterfactual Data Substitution", which also exchanges names).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from restore.channel.presets import stop_list
from restore.tags import PRONOUNS

PRONOUN = re.compile(r"\b(?:[Hh]e|[Hh]is|[Hh]im|[Hh]imself|[Ss]he|[Hh]ers?|[Hh]erself)\b")
"""What a text says of one person."""

WOMEN, MEN = sorted(PRONOUNS["she"]), sorted(PRONOUNS["he"])

_NOUNS = """
man woman, men women, boy girl, boys girls, husband wife, husbands wives, father mother, fathers mothers, dad mom,
brother sister, brothers sisters, son daughter, sons daughters, uncle aunt, nephew niece, grandfather grandmother,
grandson granddaughter, stepfather stepmother, actor actress, actors actresses, prince princess, heir heiress, hero heroine,
waiter waitress, widower widow, groom bride, male female, males females, gentleman lady, host hostess,
businessman businesswoman, businessmen businesswomen, chairman chairwoman, spokesman spokeswoman, congressman congresswoman,
congressmen congresswomen, salesman saleswoman, boyfriend girlfriend, fatherhood motherhood, paternal maternal
"""

_NAMES = """
James Mary, John Elizabeth, Robert Patricia, Michael Jennifer, William Linda, David Barbara, Richard Susan, Joseph Jessica,
Thomas Sarah, Charles Margaret, Daniel Karen, Matthew Lisa, Anthony Nancy, Donald Betty, Steven Sandra, Paul Helen,
Andrew Ashley, Joshua Donna, Kenneth Kimberly, Kevin Carol, Brian Michelle, George Anna, Timothy Emily, Ronald Amanda,
Edward Melissa, Jason Deborah, Jeffrey Stephanie, Ryan Rebecca, Jacob Sharon, Gary Laura, Nicholas Cynthia, Eric Dorothy,
Jonathan Amy, Stephen Kathleen, Larry Angela, Justin Shirley, Scott Emma, Brandon Brenda, Benjamin Pamela, Samuel Nicole,
Gregory Ruth, Alexander Katherine, Patrick Samantha, Jack Christine, Dennis Catherine, Jerry Debra, Tyler Rachel,
Aaron Carolyn, Jose Maria, Henry Janet, Adam Maria, Douglas Heather, Nathan Diane, Peter Julie, Zachary Joyce, Kyle Evelyn,
Walter Joan, Harold Kelly, Jeremy Lauren, Ethan Olivia, Carl Judith, Keith Megan, Roger Cheryl, Gerald Martha, Christian Andrea,
Terry Frances, Sean Hannah, Arthur Jacqueline, Lawrence Ann, Albert Jean, Joe Alice, Billy Kathryn, Bruce Gloria,
Willie Teresa, Ralph Doris, Roy Sara, Eugene Janice, Louis Julia, Philip Marie, Bobby Diana, Johnny Beverly, Randy Denise,
Mike Jane, Jim Susan, Bob Anne, Tom Kate, Dave Sue, Steve Ellen, Chris Claire, Tim Jill, Dan Lucy, Ben Amy, Sam Annie,
Fred Rosa, Harry Eleanor, Simon Sophie, Martin Christina, Hans Ingrid, Pierre Marie, Juan Carmen, Carlos Isabel, Luis Lucia,
Mohammed Fatima, Ahmed Aisha, Ali Leila, Ivan Olga, Vladimir Natalia, Barack Michelle, Bernie Hillary, Boris Theresa,
Tony Angela, Raj Priya, Ravi Indira, Winston Margaret, Nelson Winnie, Oliver Charlotte
"""

_PRONOUNS = {"he": "she", "she": "he", "him": "her", "hers": "his", "himself": "herself", "herself": "himself"}
_TITLES = {"Mr": "Ms", "Ms": "Mr", "Mrs": "Mr"}
_BEFORE_NOUNS = frozenset({"own", "other", "most", "more", "few", "first"})
"""Words of the stop list that "her" may stand before in the sense of "his"."""
_WORD = re.compile(r"[A-Za-z]+")
_NEXT = re.compile(r"\.?\s+([A-Za-z]+)")


def exchanged(text: str) -> str:
    """Return a text with women and men in each other's place: pronouns, nouns, titles and common first names.

    >>> exchanged("Mary Smith lost her husband. He left her, and Mr. Jones told the woman that the doll was hers.")
    'James Smith lost his wife. She left him, and Ms. Jones told the man that the doll was his.'

    Args:
        text: English prose.
    """
    return _WORD.sub(_exchange(text), text)


def _exchange(text: str) -> Callable[[re.Match[str]], str]:
    """Return what replaces a word of a text."""
    others, names, stop_words = NOUNS, NAMES, stop_list("nltk")

    def other(match: re.Match[str]) -> str:
        word = match.group()
        if found := names.get(word):
            return found
        lower = word.lower()
        if word in _TITLES:
            return _TITLES[word]
        if lower in ("her", "his", "king", "queen"):
            following = _NEXT.match(text, match.end())
            after = following.group(1) if following else ""
            if lower in ("king", "queen"):  # not Martin Luther King
                return _cased("queen" if lower == "king" else "king", word) if word == lower or after in names else word
            clause_ends = not after or text[match.end() : match.end() + 1] == "."
            if lower == "his":
                return _cased("hers" if clause_ends else "her", word)
            alone = clause_ends or (after.lower() in stop_words and after.lower() not in _BEFORE_NOUNS)
            return _cased("him" if alone else "his", word)
        found = _PRONOUNS.get(lower) or others.get(lower)
        return word if found is None else _cased(found, word)

    return other


def _cased(word: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word.capitalize() if like[0].isupper() else word


def _table(pairs: str) -> Mapping[str, str]:
    """Return what each word of some pairs is exchanged for: the first that it stands beside."""
    made: dict[str, str] = {}
    for pair in pairs.replace("\n", " ").split(","):
        one, two = pair.split()
        made.setdefault(one, two)
        made.setdefault(two, one)
    return made


NOUNS, NAMES = _table(_NOUNS), _table(_NAMES)
