"""The same marks in a terminal.

Only colour codes are added: without them, what is written is the text, character by character.
"""

from __future__ import annotations

from rich.color import ColorSystem
from rich.style import Style

from restore.render.places import Place, places_of
from restore.restoration import Restoration

# By uncertainty, in the terminal's own palette, so that they can be read on dark and on light: the letters change,
# then the ground, which a reader sees who cannot tell the colours apart.
_LEVELS = (
    Style(),
    Style(color="yellow"),
    Style(color="yellow", italic=True),
    Style(color="yellow", italic=True, bold=True),
    Style(color="black", bgcolor="yellow"),
    Style(color="black", bgcolor="bright_yellow", italic=True, bold=True),
)
_REPAIR, _WARNING, _KEPT = Style(bold=True, underline=True), Style(bold=True, underline2=True), Style(underline=True)


def render_terminal(restoration: Restoration, colors: ColorSystem = ColorSystem.STANDARD) -> str:
    """Return the restored text with colour codes (ECMA-48 SGR) around what is marked.

    Args:
        restoration: what to show.
        colors: the colours that the terminal has.
    """
    return "".join(_render(place, colors) for place in places_of(restoration))


def legend(restoration: Restoration, colors: ColorSystem = ColorSystem.STANDARD) -> str:
    """Return a line that explains the marks of a restoration, or an empty string if it has none."""
    places = places_of(restoration)
    parts = []
    if any(place.level for place in places):
        chances = ("over 90 %", "over 70", "over 50", "over 30", "less")
        scale = " ".join(_paint(text, style, colors) for text, style in zip(chances, _LEVELS[1:], strict=True))
        parts.append(f"guessed, by confidence: {scale}")
    parts += [
        _paint(text, style, colors)
        for text, style, holds in (
            ("repaired", _REPAIR, any(place.repair for place in places)),
            ("the sense may have changed", _WARNING, any(place.warned for place in places)),
            ("kept as it was", _KEPT, any(place.kept for place in places)),
        )
        if holds
    ]
    return " \u00b7 ".join([restoration.label, *parts]) if parts else ""


def _render(place: Place, colors: ColorSystem) -> str:
    style = _LEVELS[place.level]
    if place.kept:
        style += _KEPT
    if place.repair is not None:
        style += _REPAIR
    if place.warned:
        style += _WARNING
    core = place.text.strip()
    if not style or not place.text:
        return place.text
    if not core:  # a warning about an empty gap
        return _paint(place.text, style, colors)
    at = place.text.index(core)
    return place.text[:at] + _paint(core, style, colors) + place.text[at + len(core) :]


def _paint(text: str, style: Style, colors: ColorSystem) -> str:
    # Line by line, so that no background runs to a line's end.
    return "\n".join(style.render(line, color_system=colors) if line else "" for line in text.split("\n"))
