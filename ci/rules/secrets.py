"""Rules on credentials in files. No message has any part of what was found."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ci.content import secrets
from ci.content.binaries import is_documentation, suffix
from ci.content.text import is_code, is_shell_script
from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.located import Located
from ci.rules.base import ContentRule, SourceFile

_DOCUMENTS = frozenset(["yaml", "yml", "json"])
_SETTINGS = frozenset(["env", "ini", "cfg", "toml", "conf", "properties", "def"])
_MOST_LINES = 1000  # lines with a word such as `token` that are looked at
_PLAIN_NAME = re.compile(r"[\w.-]{1,60}")
_GONE = "it is public once it is pushed: make a new one, and revoke this one"


class _Certain(ContentRule):
    """A rule on what is a credential by its form."""

    kind = ""
    message = ""
    optional = False

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Report each line that has one."""
        for secret in secrets.secrets(*_content(subject)):
            if secret.kind == self.kind:
                place = Located(None, subject.path, secret.line, secret.column)
                yield self.at(place, self.message.format(secret.what), _GONE)


class PrivateKey(_Certain):
    """No file holds a private key.

    Whoever can read the registry, now or later, could log in with it: removing it in another commit
    does not help, since git keeps the old one. Make a new pair of keys, remove the old public key
    wherever it was installed, and keep the new private key in the service's secret store only.
    """

    id = "secrets/private-key"
    kind, message = "key", "holds {}"


class ProviderToken(_Certain):
    """No file holds a token or key of a service, such as GitHub, GitLab, AWS or Slack.

    Such tokens are recognised by their form, and programs that look for them in public repositories
    use them within minutes. Revoke it at the service, and give the new one to the step when it
    runs: as an input of the topology (``get_secret``), or in the environment of the site.
    """

    id = "secrets/token"
    kind, message = "token", "holds {}"


class PasswordInAddress(_Certain):
    """No address has a password in it (``https://user:password@host``).

    Change the password, and leave it out of the address: git and other programs ask for it, or take
    it from a credential helper or from the environment.
    """

    id = "secrets/password-in-address"
    kind, message = "url", "holds {} in an address"


class PlainPassword(ContentRule):
    """A property that is a password, token or secret has no value in a YAML or JSON file.

    Everybody who reads the registry could use it. Write ``{get_secret: <path>}`` in a topology, or
    make it an input that the user gives (``{get_input: <name>}``). Placeholders such as
    ``<password>``, ``$PASSWORD`` and ``changeme`` are fine.
    """

    id = "secrets/plain-password"

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Look at every property, and at texts of the form ``name=value``."""
        if suffix(subject.path) not in _DOCUMENTS or not secrets.may_name_secrets(subject.data):
            return
        try:
            document = self.context.registry.document(subject.path)
        except EntryError:
            return  # another rule's finding
        certain = {secret.line for secret in secrets.secrets(subject.data, subject.text)}
        for name, value in _properties(document):
            if value.line not in certain and _is_secret(name, value):
                certain.add(value.line)
                what = f"{name!r}" if _PLAIN_NAME.fullmatch(name) else "a property"
                message = f"the value of {what} stands here for everybody to read"
                yield self.at(value, message, "use `{get_secret: …}` or `{get_input: …}`")


class HardCoded(ContentRule):
    """No name of a password, token or secret is given a value in code.

    This is a guess by the name (``password``, ``api_key``, ``token``) and the form of the value.
    Read it from the environment instead (``os.environ["TOKEN"]``, ``$TOKEN``), and change it if it
    was a real one: it stays in git's history.
    """

    id = "secrets/hard-coded"
    severity = Severity.WARNING

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Look at what each line of code assigns."""
        if not secrets.may_name_secrets(subject.data) or not self._is_judged(subject):
            return
        certain = {secret.line for secret in secrets.secrets(subject.data, subject.text)}
        plainly = _is_settings(subject.path) or is_shell_script(subject.path, subject.data)
        looked_at = 0
        for number, line in enumerate(subject.lines, 1):
            if number in certain or not secrets.may_name_secrets(line[:1000].encode()):
                continue
            looked_at += 1
            if looked_at > _MOST_LINES:
                return
            for column, name, value in secrets.assigned(line, plainly=plainly):
                if secrets.is_secret(name, value):
                    place = Located(None, subject.path, number, column)
                    message = f"{name[:60]!r} seems to be given a secret"
                    yield self.at(place, message, "read it from the environment")
                    break

    def _is_judged(self, subject: SourceFile) -> bool:
        path = subject.path
        if is_documentation(path) or not (is_code(path, subject.data) or _is_settings(path)):
            return False
        if suffix(path) not in _DOCUMENTS:
            return True
        try:
            self.context.registry.document(path)
        except EntryError:
            return True
        return False


def _content(subject: SourceFile) -> tuple[bytes, str]:
    """Bytes and text of a file; of a binary one, and of UTF-16, what is left without NUL."""
    if subject.is_binary:
        data = subject.data.replace(b"\0", b"")
        return data, data.decode("latin-1")
    return subject.data, subject.text


def _is_settings(path: str) -> bool:
    return suffix(path) in _SETTINGS or path.rpartition("/")[2].startswith(".env")


def _properties(document: Located) -> Iterator[tuple[str, Located]]:
    """Names and values: of properties, their defaults, ``name``-``value`` pairs, ``a=b`` texts."""
    for found in document.walk():
        if found.is_mapping:
            items = found.value
            yield from items.items()
            for name, item in items.items():
                if item.is_mapping:
                    yield from (
                        (name, item.value[k]) for k in ("default", "value") if k in item.value
                    )
            if "name" in items and "value" in items and items["name"].is_text:
                yield items["name"].text, items["value"]
        elif found.is_text and "=" in found.text[:1000]:
            for _, name, value in secrets.assigned(found.text, plainly=True):
                yield name, Located(value, found.path, found.line, found.column, value)


def _is_secret(name: str, value: Located) -> bool:
    if value.is_text:
        return secrets.is_secret(name, value.text)
    is_number = isinstance(value.value, (int, float)) and not isinstance(value.value, bool)
    return is_number and len(value.text) > 3 and secrets.names_password(name)


RULES: tuple[type[ContentRule], ...] = (
    PrivateKey,
    ProviderToken,
    PasswordInAddress,
    PlainPassword,
    HardCoded,
)
