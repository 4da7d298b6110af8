import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.content.secrets import assigned, is_secret, may_name_secrets, secrets
from ci.registry import Registry
from ci.rules import CONTENTS, Context, SourceFile
from ci.trees import Entry

FINE = [
    ("package.py", 'version("1.0", sha256="' + "0123456789abcdef" * 4 + '")'),
    ("package.py", 'version("1.0", commit="' + "7f3a" * 10 + '")'),
    ("a.eb", "checksums = ['" + "9e107d9d372bb6826bd81d3542a419d6" * 2 + "']"),
    (
        "a.sh",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3n8HqRk2lZ0mVw5u0p5m7y3b1dGQfYcXeSxk9aB2Lf host",
    ),
    ("a.py", "def get_secret(name): return name"),
    ("a.py", 'password = get_secret("db")'),
    ("a.py", 'password = os.environ["DB_PASSWORD"]'),
    ("a.py", 'password = getpass("Your password: ")'),
    ("a.py", 'PASSWORD_KEY = "password"'),
    ("a.py", 'if password == "wrong-one": pass'),
    ("a.py", 'pad_token = "<pad>"; eos_token = "</s>"; max_tokens = "4096abcd"'),
    ("a.py", 'token = "next_token"; tokenizer = "bert-base-uncased12"'),
    ("a.py", 'parser.add_argument("--password", help="the password of the user")'),
    ("a.py", 'headers = {"token": f"{token}"}'),
    ("a.py", 'if line.startswith("-----BEGIN RSA PRIVATE KEY-----"): pass'),
    ("a.py", 'TOKEN = "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"'),
    ("a.py", 'KEY = "AKIAIOSFODNN7EXAMPLE"'),
    ("a.sh", 'curl -u "$USER:$PASSWORD" https://$USER:$PASSWORD@host/'),
    ("a.sh", "export TOKEN=${TOKEN:?}; PASSWORD=$1 PASSWORD=changeme TOKEN=<your-token>"),
    ("a.sh", "singularity pull docker://ubuntu:22.04@sha256:" + "1f" * 32),
    ("a.sh", "git clone https://user:password@example.org/x; ssh git@github.com:a/b"),
    ("a.py", 'URL = "postgresql://postgres:dbos@localhost:5432/x"'),
    ("a.sh", "wget ftp://webdata2:webdata2@ftp.illumina.com/a.zip"),
    ("a.sh", "pwd=/tmp/run12345678; keyboard=qwerty12345"),
    ("a.yaml", "password: {get_input: password}\nget_secret: a/b1234567\n"),
    ("a.yaml", "password: $PASSWORD\npassword2: ''\ndb: {password: null}\n"),
    ("a.yaml", "password: {type: string, required: true, description: The user's password}\n"),
    ("a.yaml", "token: 17\nsecret: true\npassword: <password>\npassphrase: '***'\n"),
    ("a.yaml", "tokens: [abc12345]\nprivate_key: ~/.ssh/id_rsa\npassword_file: /run/x\n"),
    ("a.yaml", "token: alice-runs-2\nsecret: mesh.txt\nvault_id: 3f2a9c1e\n"),
    ("a.json", '{"cells": [{"id": "a8f3c2d19e7b4f60", "token": "</s>"}]}'),
    ("a.ipynb", '{"cells": [{"id": "a8f3c2d1", "source": ["token = \\"abcd1234efgh\\""]}]}'),
    ("spack.lock", '{"hash": "k3j4h5k6j7h8k9j0", "token": "k3j4h5k6j7h8k9j0"}'),
]


class OneFile:
    id = "one"

    def __init__(self, path: str, data: bytes) -> None:
        self.path, self.data = path, data

    def entries(self, folder: str = "") -> list[Entry]:
        return [Entry(self.path, 0o100644, len(self.data))]

    def names(self, folder: str = "") -> list[str]:
        return [self.path]

    def find(self, path: str) -> Entry | None:
        return self.entries()[0] if path == self.path else None

    def read(self, path: str) -> bytes:
        return self.data


def findings(path: str, data: bytes) -> list:
    tree = OneFile(path, data)
    context = Context(Registry(tree))
    subject = SourceFile(tree.entries()[0], data)
    rules = [rule for rule in CONTENTS if rule.id.startswith("secrets/")]
    return [finding for rule in rules for finding in rule(context).check(subject)]


@pytest.mark.parametrize(("path", "text"), FINE)
def test_what_is_no_secret(path: str, text: str) -> None:
    assert findings(path, text.encode()) == []


BODY = "q8Zr2LmT0xWc5VbN7yKdP3sHjF6gQa9eUiOoXnB1"
FOUND = [
    f"ghp_{BODY[:36]}",
    f"github_pat_{BODY}{BODY}",
    f"glpat-{BODY[:20]}",
    f"xoxb-219876543012-{BODY[:24]}",
    f"hvs.{BODY}",
    f"dckr_pat_{BODY[:27]}",
    f"AIza{BODY[:35]}",
    f"sk_live_{BODY[:24]}",
    f"SG.{BODY[:22]}.{BODY}abc",
    f"npm_{BODY[:36]}",
    f"pypi-AgEIcHlwaS5vcmc{BODY}{BODY}",
    f"AccountKey={BODY}{BODY}{BODY[:6]}==",
    f"sk-ant-api03-{BODY}{BODY}",
    f"sk-{BODY[:20]}T3BlbkFJ{BODY[:20]}",
]


@pytest.mark.parametrize("token", FOUND)
@pytest.mark.parametrize("line", ["{}", "x = '{}'  # noqa", "a: {}\n", "[{}](b)"])
def test_tokens_are_found_and_not_repeated(token: str, line: str) -> None:
    for path in ("a.py", "README.md", "a.yaml"):
        found = findings(path, line.format(token).encode())
        assert [finding.rule for finding in found] == ["secrets/token"]
        assert not any(token[8:16] in finding.message + finding.hint for finding in found)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_tokens_are_found_in_other_encodings(encoding: str) -> None:
    found = findings("notes.txt", f"a\nghp_{BODY[:36]}".encode(encoding))
    assert [(finding.rule, finding.line) for finding in found] == [("secrets/token", 2)]


@pytest.mark.parametrize("name", ["dbPassword", "DB_PASSWORD", "root-passwd", "ssh.passphrase"])
def test_names_of_passwords(name: str) -> None:
    assert is_secret(name, "hunter2")
    assert not is_secret(name, "{{ vault }}")


@pytest.mark.parametrize("name", ["get_secret", "password_file", "tokenizer", "pwd", "monkey", ""])
def test_names_of_other_things(name: str) -> None:
    assert not is_secret(name, "q8Zr2LmT0xWc5VbN7yKd")


HOSTILE = [
    "eyJ" * 300_000,
    "eyJ." * 250_000,
    "://a:" * 200_000,
    "://" + ":" * 900_000,
    "password" * 120_000,
    "password=" * 110_000,
    "password='" * 100_000,
    "glpat-" * 170_000,
    "-----BEGIN " * 90_000,
    "-----BEGIN RSA PRIVATE KEY-----" * 30_000,
    f"ghp_{BODY[:36]}\n" * 25_000,
    f"://a:{BODY}@b\n" * 20_000,
    "xox" * 300_000,
    "token: a\n" * 110_000,
    'password = "a b"\n' * 60_000,
    "sk-" + "a" * 900_000 + "T3BlbkFJ",
    "sk-T3BlbkFJ" * 90_000,
    "A" * 900_000 + " secret",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:20])
def test_time_is_linear(text: str) -> None:
    begin = time.process_time()
    findings("a.py", text.encode())
    findings("a.sh", text.encode())
    assert time.process_time() - begin < 30  # a guard against no end, not a measure


@given(st.text(max_size=300), st.sampled_from(["a.py", "a.yaml", "a.json", ".env", "a.sh"]))
def test_any_text_is_judged(text: str, path: str) -> None:
    findings(path, text.encode("utf-8", "replace"))


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    assert secrets(data, text) == secrets(data, text)
    may_name_secrets(data)
    list(assigned(text, plainly=True))


def test_a_clean_file_costs_next_to_nothing() -> None:
    data = b"import os\nfor key in os.environ:\n    print(key, 'https://example.org')\n" * 100
    findings("a.py", data)
    begin = time.process_time()
    for _ in range(100):
        findings("a.py", data)
    assert time.process_time() - begin < 30  # a guard against no end, not a measure
