"""Git over a real sshd: a key is let in for git alone, with the rights of its user."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

MAIN = [sys.executable, "-P", "-m", "hooks.cli.main"]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def keygen(path: Path) -> Path:
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada@laptop", "-f", str(path)]
    subprocess.run(make, check=True)
    return path


class Server:
    """An sshd for one account, ours; ``keys`` is its authorized_keys."""

    def __init__(self, folder: Path) -> None:
        sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        if sshd is None:
            missing = "sshd is missing: apt-get install openssh-server"
            pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
        Path("/run/sshd").mkdir(exist_ok=True)
        self.folder, self.port, self.keys = folder, free_port(), folder / "authorized_keys"
        self.keys.touch()
        self.host_key = keygen(folder / "host")
        config = folder / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.host_key}\nUsePAM no\n"
            f"AuthorizedKeysFile {self.keys}\nStrictModes no\nPasswordAuthentication no\n"
            "PermitRootLogin forced-commands-only\nPidFile none\nAcceptEnv WAAS_* GIT_*\n"
        )
        self.process = subprocess.Popen(
            [sshd, "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            time.sleep(0.05)

    def ssh(self, key: Path) -> list[str]:
        known = self.folder / "known_hosts"
        public = self.host_key.with_suffix(".pub").read_text()
        known.write_text(f"[127.0.0.1]:{self.port} {public}")
        options = ["-F", "none", "-i", str(key), "-o", f"UserKnownHostsFile={known}"]
        return ["ssh", *options, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]

    def url(self, name: str = "workflow-registry") -> str:
        import getpass

        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}/{name}.git"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def waas(hosted_home):
    """``waas("git", …)`` on the home."""
    config = ["--config", str(hosted_home.home / "waas.yaml")]

    def run(*args: str, ok: bool = True, **more) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*MAIN, *config, *args], capture_output=True, text=True, timeout=60, **more
        )
        assert done.returncode == 0 or not ok, done.stderr
        return done

    return run


@pytest.fixture
def person(waas, server, tmp_path):
    """``person("ada", "merge")``: a key, a user with rights; the environment of their git."""

    def make(name: str, level: str) -> dict[str, str]:
        key = keygen(tmp_path / f"key-{name}")
        public = str(key.with_suffix(".pub"))
        waas("git", "users", "add", name, "--key", public, "--right", f"workflow-registry={level}")
        server.keys.write_text(waas("git", "authorized-keys").stdout)
        return {"GIT_SSH_COMMAND": shlex.join(server.ssh(key))}

    return make


def commit(run_git, folder: Path, name: str) -> str:
    run_git(folder, "checkout", "-q", "-B", "topic")
    (folder / name).write_text(name)
    run_git(folder, "add", name)
    run_git(folder, "commit", "-q", "-m", name)
    return str(run_git(folder, "rev-parse", "HEAD").stdout.strip())


def passed(settings, head: str, base: str) -> None:
    from hooks.forges.mailbox import Mailbox

    box = Mailbox(settings.repositories["workflow-registry"])
    box.write_comment(1, "all is well")
    status = {"head": head, "base": base, "state": "PASSED", "summary": "", "pull": 1}
    box.write_status(head, status)


def test_a_maintainer_clones_proposes_and_merges(server, person, run_git, tmp_path, hosted_home):
    env = person("ada", "merge")
    run_git(tmp_path, "clone", "-q", server.url(), "clone", env=env)
    clone = tmp_path / "clone"
    base = run_git(clone, "rev-parse", "HEAD").stdout.strip()
    head = commit(run_git, clone, "a")
    passed(hosted_home, head, base)
    options = ("-o", "title=A title", "-o", "draft", "-o", "colour=red")
    said = run_git(clone, "push", *options, "origin", "topic", env=env).stderr
    assert "all is well" in said
    assert "unknown push option 'colour=red'" in said
    box = hosted_home.repositories["workflow-registry"] / "waas" / "deliveries"
    [mail] = [json.loads(file.read_text()) for file in box.iterdir()]
    assert mail["pusher"] == "ada"
    assert (mail["ref"], mail["new"]) == ("refs/heads/topic", head)
    assert mail["options"] == {"title": "A title", "draft": True}
    run_git(clone, "push", "origin", "HEAD:main", env=env)
    assert run_git(clone, "ls-remote", "origin", "main", env=env).stdout.startswith(head)


def test_who_may_propose_cannot_merge_and_who_may_read_cannot_push(
    server, person, run_git, tmp_path, hosted_home
):
    env = person("bob", "propose")
    run_git(tmp_path, "clone", "-q", server.url(), "clone", env=env)
    clone = tmp_path / "clone"
    base = run_git(clone, "rev-parse", "HEAD").stdout.strip()
    head = commit(run_git, clone, "a")
    passed(hosted_home, head, base)
    run_git(clone, "push", "origin", "topic", env=env)
    refused = run_git(clone, "push", "origin", "HEAD:main", env=env, ok=False)
    assert "bob may not merge" in refused.stderr
    # what a client sends along as variables is not heard
    cheat = env | {"WAAS_USER": "ada", "WAAS_RIGHT": "merge"}
    cheat["GIT_SSH_COMMAND"] += " -o SendEnv=WAAS_USER -o SendEnv=WAAS_RIGHT"
    refused = run_git(clone, "push", "origin", "HEAD:main", env=cheat, ok=False)
    assert "bob may not merge" in refused.stderr
    reader = person("eve", "read")
    refused = run_git(clone, "push", "origin", "HEAD:refs/heads/x", env=reader, ok=False)
    assert "you may read workflow-registry" in refused.stderr
    refused = run_git(clone, "push", "origin", "HEAD:refs/pull/1/head", env=env, ok=False)
    assert "only branches can be pushed" in refused.stderr


def test_there_is_no_shell_and_no_other_repository(server, person, run_git, tmp_path):
    env = person("ada", "merge")
    ssh = shlex.split(env["GIT_SSH_COMMAND"])
    place = server.url().removesuffix("/workflow-registry.git")
    for command in ([], ["id"], ["git-upload-pack", "'/etc/x'"], ["git-upload-pack", "'../../x'"]):
        done = subprocess.run([*ssh, place, *command], capture_output=True, text=True, timeout=30)
        assert done.returncode != 0
        assert "uid=" not in done.stdout
        assert "there is no shell here" in done.stderr
        assert "Traceback" not in done.stderr
    missing = run_git(tmp_path, "clone", server.url("other"), "x", env=env, ok=False)
    assert "there is no repository 'other' for you" in missing.stderr


def test_a_user_who_was_removed_is_not_let_in(server, person, waas, run_git, tmp_path):
    env = person("ada", "read")
    assert run_git(tmp_path, "ls-remote", server.url(), env=env).stdout
    waas("git", "users", "remove", "ada")
    server.keys.write_text(waas("git", "authorized-keys").stdout)
    assert run_git(tmp_path, "ls-remote", server.url(), env=env, ok=False).returncode != 0


def test_users_are_listed_without_their_keys(person, waas):
    person("ada", "merge")
    rows = json.loads(waas("git", "users", "list", "--json").stdout)
    assert rows == [
        {"user": "ada", "rights": "workflow-registry=merge", "keys": 1},
        {"user": "(everyone)", "rights": "read", "keys": 0},
    ]
    wrong = waas("git", "users", "add", "ada", "--right", "worflows=merge", ok=False)
    assert "no such repository" in wrong.stderr
