"""Trees in memory, and a workflow with nothing wrong in it, to be spoiled by tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import pytest

from ci.trees import Entry, below, check_readable, names_in

GOOD_TOPOLOGY = """\
tosca_definitions_version: alien_dsl_3_0_0
metadata: {template_name: Demo, template_version: 1.0.0}
imports:
  - imagecreation.ansible:1.3.0
  - dls.ansible:1.4.0
  - hpcwaas:1.0.0
topology_template:
  inputs:
    debug: {type: boolean, required: false, default: false}
  node_templates:
    Environment:
      type: eflows4hpc.env.nodes.AbstractEnvironment
    Image:
      type: imagecreation.ansible.nodes.ImageCreation
      properties:
        workflow: demo
        step_id: simulate
        debug: {get_input: debug}
    Transfer:
      type: dls.ansible.nodes.DLSDAGImageTransfer
      requirements:
        - image: {type_requirement: dependency, node: Image}
    Fetch:
      type: hpcwaas.nodes.StageIn
      properties: {source: "registry:data/mesh.txt", target: mesh.txt}
    Job:
      type: hpcwaas.nodes.ContainerJob
      properties:
        submission_params: {num_nodes: 2, time_limit: "00:05:00"}
        application:
          command: /simulate/src/run.py
          arguments: ["--size", "${size}", 0.10]
      requirements:
        - img: {type_requirement: img_transfer, node: Transfer}
        - dependency: Fetch
    Keep:
      type: hpcwaas.nodes.StageOut
      properties: {source: "*.out", name: results}
  workflows:
    exec_job:
      inputs:
        size: {type: integer, required: true}
      steps:
        fetch:
          target: Fetch
          activities: [{call_operation: tosca.interfaces.node.lifecycle.Runnable.run}]
          on_success: [job_submitting]
        job_submitting:
          target: Job
          activities: [{set_state: submitting}]
          on_success: [job_submit]
        job_submit:
          target: Job
          activities: [{call_operation: tosca.interfaces.node.lifecycle.Runnable.submit}]
          on_success: [job_run]
        job_run:
          target: Job
          activities: [{call_operation: tosca.interfaces.node.lifecycle.Runnable.run}]
          on_success: [keep]
        keep:
          target: Keep
          activities: [{call_operation: tosca.interfaces.node.lifecycle.Runnable.run}]
"""
GOOD_REGISTRY = {
    "README.md": "registry\n",
    "demo/waas.yaml": "title: Demo\nmaintainers: [alice]\nsites: [alpha]\n",
    "demo/tosca/topology.yaml": GOOD_TOPOLOGY,
    "demo/data/mesh.txt": "1 2 3\n",
    "demo/simulate/eflows4hpc.yaml": "spack:\n  specs:\n    - openmpi@4.1.6\n",
    "demo/simulate/src/run.py": "print('hello')\n",
}


@dataclass
class MemoryTree:
    """Files by path; ``modes`` where they are not 100644."""

    files: Mapping[str, str | bytes]
    modes: Mapping[str, int] = field(default_factory=dict)
    id: str = "memory"

    def entries(self, folder: str = "") -> list[Entry]:
        entries = [
            Entry(path, self.modes.get(path, 0o100644), len(content))
            for path, content in sorted(self.files.items())
        ]
        return entries[below(sorted(self.files), folder)]

    def names(self, folder: str = "") -> tuple[str, ...]:
        return names_in(sorted(self.files), folder)

    def find(self, path: str) -> Entry | None:
        return {entry.path: entry for entry in self.entries()}.get(path)

    def read(self, path: str) -> bytes:
        listed = {entry.path: entry for entry in self.entries()}
        check_readable(listed.get(path), path)
        content = self.files[path]
        return content if isinstance(content, bytes) else content.encode()


@pytest.fixture
def tree() -> Callable[..., MemoryTree]:
    """Makes a tree of files: ``tree({path: content}, modes={path: mode})``."""
    return MemoryTree


@pytest.fixture
def registry_files() -> dict[str, str | bytes]:
    """A registry with nothing to report."""
    return dict(GOOD_REGISTRY)


@pytest.fixture
def topology_text() -> str:
    """The topology of that registry."""
    return GOOD_TOPOLOGY


class Repository:
    """A git repository to commit to, without a word of the user's configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch=main")

    @property
    def git_dir(self) -> Path:
        return self.folder / ".git"

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.org",
        }
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            input=stdin,
            capture_output=True,
            check=True,
            env=environment,
        )
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, str | bytes], message: str = "change") -> str:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else dedent(content).encode())
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def commit_tree(self, listing: bytes, message: str = "made by hand") -> str:
        """A commit of a tree given as ``git mktree -z --missing`` takes it."""
        made = self.git("mktree", "-z", "--missing", stdin=listing)
        return self.git("commit-tree", "-m", message, made)

    def blob(self, content: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", stdin=content)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty git repository."""
    folder = tmp_path / "repository"
    folder.mkdir()
    return Repository(folder)
