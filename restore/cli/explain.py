"""`restore explain FILE`: what was made of each sentence, and how sure it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from restore.cli.files import check_output, check_standard_output, read_text, write_text
from restore.cli.options import channel_option, confidence_options, engine_options
from restore.cli.progress import ProgressLine

if TYPE_CHECKING:
    from restore.explanation import Sentence
    from restore.flags import Flag
    from restore.restoration import Edit, Restoration
    from restore.restorer import Restorer

KINDS = {"inserted": "put in", "break": "put in", "inflected": "inflected", "recased": "recased", "joined": "joined"}

AROUND, NEAR = 2, 80
"""Words that are shown on both sides of a flag, and characters that they are looked for in."""

EPILOG = """\b
Examples:
  restore explain article.txt
  restore explain article.txt --readability
  restore explain article.txt --json | jq '.sentences[].flags'
"""


@click.command(epilog=EPILOG)
@click.argument("file", default="-", type=click.Path())
@click.option("-o", "--output", type=click.Path(), help="Write to this file, whole or not at all.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with all of it.")
@click.option(
    "--readability", is_flag=True, help="Readability formulas before and after (needs the extra `readability`)."
)
@click.option("--repair/--no-repair", default=True, show_default=True, help="Mend typos and glued words in the input.")
@channel_option
@engine_options
@confidence_options
def explain_command(file: str, output: str | None, as_json: bool, readability: bool, **options: Any) -> None:
    """Show what was given, put in, inflected, recased and repaired in each sentence, with confidences and warnings."""
    from restore.restorer import Restorer

    check_output(output, (file, str(options["channel"])))
    check_standard_output(file)
    restorer = Restorer(**options)
    text = read_text(file)
    with ProgressLine(len(text)) as progress:
        restoration = restorer.restore(text, progress=progress.tell)
    ease = _ease(restorer, restoration) if readability else {}
    if as_json:
        from restore.explanation import explain

        sentences = [sentence.to_dict() for sentence in explain(restoration)]
        whole = {**restoration.to_dict(), "sentences": sentences, **({"readability": ease} if ease else {})}
        write_text(output, json.dumps(whole, ensure_ascii=False) + "\n")
        return
    text = "\n".join(_lines(restoration, ease)) + "\n"
    if output is not None or not (sys.stdout is not None and sys.stdout.isatty()):
        write_text(output, text)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in text.splitlines():
        console.print(Text(line, style=_style(line)))


def _style(line: str) -> str:
    if line.startswith("  !"):
        return "bold"
    return "dim" if line.startswith("  ") else ""


def _ease(restorer: Restorer, restoration: Restoration) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **asdict(restoration.readability()),
        "perplexity": {
            "before": restorer.perplexity(restoration.source),
            "after": restorer.perplexity(restoration.source, restoration.text),
        },
    }


def _lines(restoration: Restoration, ease: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the explanation."""
    from restore.explanation import explain, summary

    yield f"{restoration.label}; channel {restoration.channel}, engine {restoration.engine}"
    if restoration.confidence is not None:
        how = "calibrated" if restoration.calibrated else "not calibrated for this engine and channel"
        yield f"confidence {_percent(restoration.confidence)}, {how}"
    yield from (f"note: {note}" for note in restoration.notes)
    for number, sentence in enumerate(explain(restoration), 1):
        yield ""
        yield from _sentence_lines(number, sentence, restoration)
    yield ""
    counts = [f"{count} {name}" for name, count in summary(restoration).items() if count]
    yield f"in all: {', '.join(counts) or 'nothing changed'}"
    if ease:
        yield from _ease_lines(ease)


def _sentence_lines(number: int, sentence: Sentence, restoration: Restoration) -> Iterator[str]:
    text = restoration.text
    sure = f" ({_percent(sentence.confidence)})" if sentence.confidence is not None else ""
    yield f"{number}. {' '.join(sentence.text.split())}{sure}"
    yield f"  given      {' '.join(sentence.given.split())}"
    for label in ("put in", "inflected", "recased", "joined"):
        edits = [edit for edit in sentence.edits if KINDS[edit.kind] == label]
        if edits:
            yield f"  {label:10} " + ", ".join(_change(edit, text) for edit in edits)
    for repair in sentence.repairs:
        yield f"  repaired   {repair.before} \u2192 {repair.after}"
    if sentence.kept:
        yield "  kept       " + ", ".join(kept.text for kept in sentence.kept)
    for flag in sentence.flags:
        chance = f" ({_percent(flag.probability)})" if flag.probability is not None else ""
        others = f"; perhaps {', '.join(flag.alternatives)}" if flag.alternatives else ""
        yield f"  ! {flag.kind:10} {flag.message}{chance}{others}: {_around(flag, restoration)}"


def _around(flag: Flag, restoration: Restoration) -> str:
    """Return a flag's place in brackets, in what stands around it: empty ones where nothing was put in."""
    from restore.flags import WORDS

    text, start, end = restoration.text, flag.start, flag.end
    if flag.kind in WORDS and flag.place < len(restoration.spans) and start >= restoration.spans[flag.place].start:
        end = start = restoration.spans[flag.place].start  # nothing stands in the gap
    before, after = text[max(0, start - NEAR) : start].split()[-AROUND:], text[end : end + NEAR].split()[:AROUND]
    return " ".join([*before, f"[{' '.join(text[start:end].split())}]", *after])


def _change(edit: Edit, text: str) -> str:
    shown = "\u00b6" if edit.after.strip(" ") == "\n" else edit.after.strip()
    if edit.kind == "joined" and not edit.before.strip():
        start = max(text.rfind(space, 0, edit.start) for space in " \n") + 1
        shown = text[start:].split(None, 1)[0]
    elif edit.before.strip():
        shown = f"{edit.before.strip()} \u2192 {shown}"
    return shown if edit.confidence is None else f"{shown} {_percent(edit.confidence)}"


def _ease_lines(ease: dict[str, Any]) -> Iterator[str]:
    from restore.readability import FORMULAS

    yield ""
    yield f"readability, before and after ({ease['caution']}):"
    for name, about in FORMULAS.items():
        if name in ease["before"] and name in ease["after"]:
            yield f"  {ease['before'][name]:8.1f} {ease['after'][name]:8.1f}  {about}"
    before, after = ease["perplexity"]["before"], ease["perplexity"]["after"]
    if before is not None and after is not None:
        yield f"  {before:8.1f} {after:8.1f}  the engine's own perplexity, a unit"


def _percent(chance: float) -> str:
    return f"{chance:.0%}"
