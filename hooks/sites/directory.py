"""The sites of a service: the files in ``sites/``, read when they change."""

from __future__ import annotations

from pathlib import Path

from ci.errors import EntryError, SettingsError
from ci.site import Site
from ci.sites import read_site


class SiteDirectory:
    """Site files by name; a file that is corrected counts at once, without a restart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, tuple[int, Site]] = {}

    def all(self) -> list[Site]:
        """Every site, by name. Raises ``SettingsError`` that names file and line."""
        files = sorted(p for p in self._folder.glob("*.y*ml") if not p.name.startswith("."))
        return sorted((self._site(path) for path in files), key=lambda site: site.name)

    def names(self) -> list[str]:
        """The names of all sites."""
        return [site.name for site in self.all()]

    def get(self, name: str) -> Site:
        """One site. Raises ``SettingsError`` if there is none of this name."""
        for site in self.all():
            if site.name == name:
                return site
        known = ", ".join(self.names()) or "none"
        raise SettingsError(f"there is no site {name!r}", hint=f"known: {known}")

    def _site(self, path: Path) -> Site:
        stamp = path.stat().st_mtime_ns
        known = self._read.get(path)
        if known and known[0] == stamp:
            return known[1]
        try:
            site = read_site(path.read_bytes(), str(path))
        except EntryError as error:
            raise SettingsError(str(error)) from error
        self._read[path] = (stamp, site)
        return site
