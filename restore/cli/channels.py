"""`restore channels`: what there is, by example."""

from __future__ import annotations

import click

from restore.channel import channel_names, get_channel
from restore.cli.files import write_text

EXAMPLES = {
    "nltk": "It has distributed 1.5 million school books and is building 17,000 classrooms.",
    "nltk-cased-stop": "And I want to know, because I refuse to leave any child behind in America.",
    "lemma-first": "None of us would ever wish the evil that was done on September the 11th.",
    "transcript": "He's a 49-year-old Vietnam veteran who's worked for the Social Security Administration for 22 years now.",
    "stemmed": "Soundly planned projects already initiated should be carried out.",
    "snowball": "This strategy, called community policing, is clearly working.",
    "wordnet-nvar": "When I took office, the deficit for 1998 was projected to be $357 billion and heading higher.",
    "spacy": "To all of you I say, it is a journey we can only make together, living as one community.",
    "sklearn": "I'm asking for $1.6 billion for education to prevent the disease and for research to find a cure.",
    "gensim": "In the 18 months after we entered World War II, prices rose not 4.5 percent, but 13.5 percent.",
    "unicode": "Joining us in the Gallery is the true and legitimate President of Venezuela, Juan Guaidó.",
    "lower": "And we're a forward-looking nation — generous, yes, but ambitious, not for ourselves but for the world.",
}
"""For each channel, a sentence that shows what is its own.

All are from presidents' addresses to the Congress of the United States, which are in the public domain: Eisenhower 1953
(`stemmed`), Kennedy 1963 (`nltk`), Johnson 1967 (`gensim`), G. H. W. Bush 1989 (`sklearn`, `lower`), Clinton 1996
(`transcript`, `snowball`) and 1998 (`wordnet-nvar`, `spacy`), G. W. Bush 2001 (`nltk-cased-stop`) and 2002 (`lemma-first`),
Trump 2020 (`unicode`). Those up to 2006 are as in the corpus `state_union` of NLTK's data.
"""


@click.command()
def channels_command() -> None:
    """List the channels, with what each makes of a real sentence."""
    lines = []
    for number, name in enumerate(channel_names()):
        channel, example = get_channel(name), EXAMPLES[name]
        space = "\n" if number else ""
        lines.append(f"{space}{name:17}{channel.about}\n{'':17}{example}\n{'':14}-> {channel.strip(example)}\n")
    write_text(None, "".join(lines))
