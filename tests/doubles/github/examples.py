"""GitHub's real payloads as templates, with names and addresses of ours in place of theirs."""

from __future__ import annotations

import base64
import copy
import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Json = dict[str, Any]
_WHO, _WHAT = "Codertocat", "Codertocat/Hello-World"


@cache
def load(name: str) -> Any:
    """One of the files beside this one."""
    return json.loads(lzma.decompress((HERE / f"{name}.json.xz").read_bytes()))


@cache
def _text(kind: str, index: int, path: str) -> str:
    value = load("examples")[kind][index]
    for step in path.split("."):
        value = value[step]
    return json.dumps(value)


@cache
def _filled(text: str, web: str, api: str, who: str, what: str) -> Json:
    text = text.replace(_WHAT, what).replace(_WHO, who)
    text = text.replace("https://api.github.com", api).replace("http://github.com", web)
    made: Json = json.loads(text.replace("https://github.com", web))
    return made


def filled(kind: str, index: int, path: str, *, web: str, api: str, who: str, what: str) -> Json:
    """A part of a real payload, for a repository ``what`` and its owner ``who``."""
    return copy.deepcopy(_filled(_text(kind, index, path), web, api, who, what))


def node_id(kind: str, number: int) -> str:
    """As GitHub's old ones: opaque to everybody."""
    return base64.b64encode(f"0{len(kind)}:{kind}{number}".encode()).decode()
