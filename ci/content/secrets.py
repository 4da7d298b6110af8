"""Credentials in text: keys and tokens by their form, passwords by the name they have.

The forms are those that the providers publish, so that leaked tokens can be found; a line of
``_FORMS`` is what the token is, texts of which one must be there (a cheap look), and the form.
Every pattern is anchored and bounded, so the time is linear in the text. What is found is never
given back: only where it stands and what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice

_FORMS: tuple[tuple[str, tuple[bytes, ...], str], ...] = (
    ("an access key of AWS", (b"AKIA", b"ASIA"), r"A[KS]IA[A-Z2-7]{16}(?![A-Z0-9])"),
    ("a token of GitHub", (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"), r"gh[pousr]_\w{36,255}"),
    ("a token of GitHub", (b"github_pat_",), r"github_pat_\w{60,255}"),
    (
        "a token of GitLab",
        (b"glpat-", b"gldt-", b"glft-", b"glsoat-", b"glrt-", b"glptt-", b"glcbt-", b"gloas-"),
        r"gl(?:pat|dt|ft|soat|rt|ptt|cbt|oas)-[\w.-]{20,300}",
    ),
    ("a token of Slack", (b"xox",), r"xox[abeoprs]-(?=[\w-]{0,100}[0-9])[\w-]{20,300}"),
    ("a token of PyPI", (b"pypi-AgE",), r"pypi-AgE[\w-]{60,300}"),
    ("a token of npm", (b"npm_",), r"npm_[A-Za-z0-9]{36}(?!\w)"),
    ("a token of Hugging Face", (b"hf_",), r"hf_[A-Za-z]{34}(?!\w)"),
    ("a token of Docker Hub", (b"dckr_",), r"dckr_[po]at_[\w-]{20,60}"),
    ("a token of HashiCorp Vault", (b"hvs.", b"hvb.", b"hvr."), r"hv[sbr]\.[\w-]{24,300}"),
    ("a token of DigitalOcean", (b"_v1_",), r"do[opr]_v1_[0-9a-f]{64}"),
    ("a key of Google", (b"AIza",), r"AIza[\w-]{35}(?![\w-])"),
    ("a key of Anthropic", (b"sk-ant-",), r"sk-ant-\w{2,10}-[\w-]{60,150}"),
    ("a key of OpenAI", (b"T3BlbkFJ",), r"sk-[\w-]{10,150}T3BlbkFJ[\w-]{10,150}"),
    ("a key of Stripe", (b"k_live_",), r"[rs]k_live_[A-Za-z0-9]{20,250}"),
    ("a key of SendGrid", (b"SG.",), r"SG\.[\w-]{22}\.[\w-]{43}"),
    ("a key of Azure Storage", (b"AccountKey=",), r"AccountKey=[A-Za-z0-9+/]{86}=="),
    ("a web token (JWT)", (b".eyJ",), r"eyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,1000}"),
    (
        "an address of Slack",
        (b"hooks.slack",),
        r"hooks\.slack\.com/services/T\w{6,20}/B[\w/]{20,60}",
    ),
)
_PATTERNS: dict[str, re.Pattern[str]] = {}  # compiled when one is needed

_KEY_BEGINS = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"|---- BEGIN SSH2 (?:ENCRYPTED )?PRIVATE KEY ----"
    r"|PuTTY-User-Key-File-[0-9]:|AGE-SECRET-KEY-1(?=[A-Z0-9]{58})"
)
_KEY_BODY = re.compile(r"[A-Za-z0-9+/]{40}")
_IN_URL = re.compile(
    r"://([^\s:/?#@'\"<>(){}\[\]]{0,100}):([^\s/?#@'\"<>(){}\[\]]{1,200})@"
    r"(?!sha[0-9]+:|localhost|127\.|\[::1|(?:\w+\.)?example\.(?:org|com|net)\b)[\w\[]",
    re.ASCII,
)
_HINT_WORDS = (b"passw", b"passphrase", b"token", b"secret", b"_pass", b"userpass", b"dbpass")
_KEYS_OF = (b"api", b"access", b"auth", b"private", b"encryption")
_SHOWN_AS = re.compile(
    r"example|x{4}|0{6}|1234567890|abcdef|your|dummy|fake|\.{3}"
    r"|eyJzdWIiOiIxMjM0NTY3ODkwI|eyJzb21lIjoicGF5bG9hZCJ9",  # of jwt.io and pyjwt
    re.IGNORECASE,
)
_MOST = 200
_FEWEST = 8  # different characters of a token that is real


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a credential stands and what it is; not the credential."""

    kind: str  # key, token or url
    what: str
    line: int
    column: int


@lru_cache(maxsize=1)  # several rules ask for the same file, one after the other
def secrets(data: bytes, text: str) -> list[Secret]:
    """Keys, tokens and passwords in addresses, at most one a line; of each kind the first 200."""
    found: dict[int, Secret] = {}
    searches = (_keys(data, text), _tokens(data, text), _in_urls(data, text))
    for kind, what, start in chain.from_iterable(islice(search, _MOST) for search in searches):
        line = text.count("\n", 0, start) + 1
        column = start - text.rfind("\n", 0, start)
        found.setdefault(line, Secret(kind, what, line, column))
    return [found[line] for line in sorted(found)]


def may_name_secrets(data: bytes) -> bool:
    """Whether a file has a word at all that names of secrets have."""
    lower = data.lower()
    if any(word in lower for word in _HINT_WORDS):
        return True
    return b"key" in lower and any(word in lower for word in _KEYS_OF)


def _keys(data: bytes, text: str) -> Iterator[tuple[str, str, int]]:
    if b"PRIVATE KEY" in data or b"PuTTY-User" in data or b"AGE-SECRET" in data:
        for found in _KEY_BEGINS.finditer(text):
            body = _KEY_BODY.search(re.sub(r"\s|\\n", "", text[found.end() : found.end() + 2000]))
            if body and len(set(body[0])) >= _FEWEST:
                yield "key", "a private key", found.start()


def _tokens(data: bytes, text: str) -> Iterator[tuple[str, str, int]]:
    for what, needles, form in _FORMS:
        if any(needle in data for needle in needles):
            if form not in _PATTERNS:
                _PATTERNS[form] = re.compile(rf"(?<![\w-]){form}", re.ASCII)
            for found in _PATTERNS[form].finditer(text):
                if not _is_made_up(found[0][4:]):
                    yield "token", what, found.start()


def _in_urls(data: bytes, text: str) -> Iterator[tuple[str, str, int]]:
    if b"://" in data and b"@" in data:
        for found in _IN_URL.finditer(text):
            public = found[1] == found[2]  # of a server that everybody may fetch from
            if not public and not is_placeholder(found[2]):
                yield "url", "a password", found.start(2)


def _is_made_up(token: str) -> bool:
    return len(set(token)) < _FEWEST or _SHOWN_AS.search(token) is not None


# names of what must be secret, and values that are none

_PASSWORDS = ("password", "passwd", "passphrase", "passwort")
_WORD = re.compile(r"[A-Z]{2,40}(?![a-z])|[A-Z]?[a-z]{1,40}|[0-9]{1,10}")
_TOKENS = frozenset(["token", "secret", "apikey", "accesskey", "secretkey", "authkey"])
_PAIRS = _TOKENS | {"dbpass", "userpass", "dbpwd", "userpwd", "privatekey", "encryptionkey"}
_OTHER_MEANING = frozenset(["get", "no", "is", "has", "use", "max", "min", "num", "with", "needs"])
_WORDS_FOR_NOTHING = re.compile(
    r"(?:change|replace|insert|enter|your|put|fill|placeholder|redact|dummy|example|sample|todo|"
    r"fixme|tbd|xxx|not.?set|unset|hidden|prompt).{0,40}"
    r"|password|passwd|pass|pw|passphrase|token|string|str|text|none|null|nil|true|false|yes|no|"
    r"required|optional|default|test|anonymous|guest|x{2,}|\W+"
    r"|(?-i:[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"  # the name of a variable
    r"|(?:vault|env|file|secret|ref|keyring|arn|https?|ssh|kms):.{0,200}"
    r"|\w{1,60}\(.{0,200}",  # a call
    re.IGNORECASE,
)
_REFERS = ("$", "<", "{", "%", "/", "~", "./", "../", "*", "[", "(", "&", "!", "@")
_TOKEN_FORM = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[\w.+/=~-]{8,300}", re.ASCII)
_WORDS_IN_ROW = re.compile(r"[a-z]+(?:[-_.][a-z0-9]+)+|.*\.[a-z]{2,5}|v?[0-9.]+[a-z0-9]{0,3}")
_ASSIGNED = re.compile(
    r"(?<![\w.$-])(?:--?)?([A-Za-z_][\w.-]{1,60})[\"']?\]?[ \t]{0,8}(?::=|=|:|<-)[ \t]{0,8}"
    r"(?:\"([^\"\n]{4,200})\"|'([^'\n]{4,200})')"
)
_PLAINLY = re.compile(
    r"(?<![\w.$-])(?:--?)?([A-Za-z_][\w.-]{1,60})=([^\s\"'`$;&|<>(){},]{4,200})(?=[\s;&|,)]|$)"
)


def names_password(name: str) -> bool:
    """Whether a name is one of a password: whatever it has for a value is secret."""
    words = _words(name)
    last = words[-1] if words else ""
    return last.endswith(_PASSWORDS) or "".join(words[-2:]) in {"dbpass", "userpass"}


def is_secret(name: str, value: str) -> bool:
    """Whether a value is a secret in plain text, by its name and its form."""
    if is_placeholder(value) or len(value) > 300:
        return False
    if names_password(name):
        return True
    words = _words(name)
    named = bool(words) and (words[-1] in _TOKENS or "".join(words[-2:]) in _PAIRS)
    formed = _TOKEN_FORM.fullmatch(value) and not _WORDS_IN_ROW.fullmatch(value)
    return named and bool(formed)


def is_placeholder(value: str) -> bool:
    """Whether a value stands for a secret, or is prose about one."""
    value = value.strip()
    if len(value) < 3 or any(character.isspace() for character in value[:300]):
        return True
    refers = value.startswith(_REFERS) or "${" in value or "{{" in value
    return refers or _WORDS_FOR_NOTHING.fullmatch(value) is not None


def assigned(line: str, *, plainly: bool) -> Iterator[tuple[int, str, str]]:
    """Column, name and value of what a line of code assigns; ``plainly``: without quotes too."""
    for found in _ASSIGNED.finditer(line[:1000]):
        yield found.start(1) + 1, found[1], found[2] or found[3]
    for found in _PLAINLY.finditer(line[:1000]) if plainly else ():
        yield found.start(1) + 1, found[1], found[2]


def _words(name: str) -> list[str]:
    """The words of a name, in lower case; none of one that means something else."""
    words = [word.lower() for word in _WORD.findall(name[:100])]
    return [] if words and words[0] in _OTHER_MEANING else words
