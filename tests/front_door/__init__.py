"""A whole service behind a forge: real processes, a site on this machine, images that cost nothing.

``World`` makes a service home whose two repositories are on a double of GitHub, starts ``waas
serve`` (and more workers) as processes, and counts what they did: images built, versions put in
place at the site, and what the double was told.
"""

from .world import CATALOGUE, SITE, SLUG, World, workflow

__all__ = ["CATALOGUE", "SITE", "SLUG", "World", "workflow"]
