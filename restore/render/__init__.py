"""Renderers: a Restoration as a page, in a terminal, or in a notebook."""


from restore.render.places import Option, Place, places_of


__all__ = ["Option", "Place", "places_of", "render_fragment", "render_page", "render_terminal"]
