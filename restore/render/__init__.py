"""Renderers: a Restoration as a page, in a terminal, or in a notebook."""

from restore.render.page import render_fragment, render_page
from restore.render.places import Option, Place, places_of
from restore.render.terminal import render_terminal

__all__ = ["Option", "Place", "places_of", "render_fragment", "render_page", "render_terminal"]
