"""Documents: YAML and JSON files with the place of every value."""

from __future__ import annotations

from ci.errors import EntryError
from ci.json_reader import read_json
from ci.located import MAX_BYTES, Located
from ci.yaml_reader import read_yaml

YAML_SUFFIXES = (".yaml", ".yml")
JSON_SUFFIXES = (".json",)

__all__ = ["JSON_SUFFIXES", "YAML_SUFFIXES", "Located", "decode", "load"]


def load(data: bytes | str, path: str) -> Located:
    """Read a document: JSON if the path ends in ``.json``, else YAML.

    Raises ``EntryError`` with path, line and column: not UTF-8, not well-formed, duplicate keys,
    larger than 2 MiB, nested more than 60 deep, more than 100,000 values with aliases written out.
    """
    text = decode(data, path) if isinstance(data, bytes) else data
    if len(text) > MAX_BYTES:
        raise EntryError(f"larger than {MAX_BYTES} bytes", path=path)
    return read_json(text, path) if path.endswith(JSON_SUFFIXES) else read_yaml(text, path)


def decode(data: bytes, path: str) -> str:
    """The text of a file in UTF-8, without a byte order mark. Raises ``EntryError``."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise EntryError(
            "not text in UTF-8", path=path, line=line, hint="save the file as UTF-8"
        ) from None
