"""The whole path on a real cluster with a tiny image: push, build, merge, run, fail, cancel."""

import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci.errors import EntryError
from hooks import home
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.ssh_keys import make_key_pair
from hooks.db import Database
from hooks.demo.developer import Developer
from hooks.demo.service import PatientClient, Service
from hooks.testbed.cluster import Cluster
from hooks.testbed.engine import Engine
from hooks.tokens import Tokens

pytestmark = [pytest.mark.cluster, pytest.mark.engine, pytest.mark.xdist_group("path")]

NODE = """
    requirements:
      - env: {type_requirement: environment, node: Env,
              capability: eflows4hpc.env.capabilities.ExecutionEnvironment,
              relationship: tosca.relationships.DependsOn}
"""
TOPOLOGY = """
tosca_definitions_version: alien_dsl_3_0_0
metadata: {template_name: Tiny, template_version: 1.0.0, template_author: test}
imports:
  - eflows4hpc.env:1.1.0
  - imagecreation.ansible:1.3.0
  - dls.ansible:1.4.3-SNAPSHOT
  - hpcwaas:1.0.0
topology_template:
  node_templates:
    Env: {type: eflows4hpc.env.nodes.AbstractEnvironment}
    Image:
      type: imagecreation.ansible.nodes.ImageCreation
      properties: {workflow: tiny, step_id: step}
    Transfer:
      type: dls.ansible.nodes.DLSDAGImageTransfer
      requirements:
        - i: {type_requirement: dependency, node: Image, capability: tosca.capabilities.Node,
              relationship: tosca.relationships.DependsOn}
    Data:
      type: hpcwaas.nodes.StageIn
      properties: {source: "registry:data/text.txt", target: text.txt}
    Job:
      type: hpcwaas.nodes.ContainerJob
      properties:
        application: {command: /step/src/run.sh, arguments: ["${mode}"]}
      requirements:
        - i: {type_requirement: img_transfer, node: Transfer, capability: tosca.capabilities.Node,
              relationship: tosca.relationships.DependsOn}
    Keep:
      type: hpcwaas.nodes.StageOut
      properties: {source: "out/*.txt", name: result}
  workflows:
    exec_job:
      inputs:
        user_id: {type: string, required: true}
        vault_id: {type: string, required: true}
        mode: {type: string, required: false, default: count}
      steps:
        data: {target: Data, activities: [{call_operation: RUN}], on_success: [job]}
        job: {target: Job, activities: [{call_operation: RUN}], on_success: [keep]}
        keep: {target: Keep, activities: [{call_operation: RUN}]}
""".replace("RUN", "tosca.interfaces.node.lifecycle.Runnable.run")
RUN = """#!/bin/sh
echo "mode $1"
case $1 in
  fail) echo "the mesh has a hole" >&2; exit 7 ;;
  wait) sleep 300 ;;
esac
mkdir -p out && wc -w < text.txt > out/words.txt
"""


TASK = """from pycompss.api.software import software


@software(config_file=SW_CATALOG + "/py-ezyrb/ezyrb.json")
def reduce(snapshots):
    \"\"\"Never called here: only named.\"\"\"
"""


class World:
    """A running service, a cluster, a developer and a user."""

    def __init__(self, folder: Path, cluster: Cluster, engine: Engine, base: Path, sif: Path):
        self.cluster = cluster
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        builder = {
            "base": f"oci-layout://{base}",
            "apptainer": str(sif),
            "environment": engine.environment,
        }
        self.settings = home.make(
            folder / "home",
            listen=f"127.0.0.1:{port}",
            builder=builder,
            without=["reduced_order_model", "minimal_workflow"],
        )
        store = EncryptedFiles.init(self.settings.secrets)
        cluster.authorize("waas", make_key_pair(store, "deploy", "deploys"))
        site = cluster.describe(credential="deploy")
        (self.settings.sites / "alpha.yaml").write_text(yaml.safe_dump(site))
        self.service = Service(self.settings)
        self.service.start()
        tokens = Tokens(Database(self.settings.database))
        self.user = PatientClient(self.settings.url, tokens.create("alice")[1])
        self.operator = PatientClient(self.settings.url, tokens.create("root", "operator")[1])
        self.developer = Developer(folder, self.settings.repositories["workflow-registry"])
        self.key = self.user.json("POST", "/ssh_keys", json={})["id"]
        public = self.user.json("GET", "/ssh_keys")["ssh_keys"][0]["public_key"]
        cluster.authorize("alice", public)

    def write(self, path: str, text: str) -> None:
        file = self.developer.clone / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def publish(self) -> None:
        self.developer.branch("tiny")
        self.write("tiny/waas.yaml", "title: Tiny\nmaintainers: [Tests]\nsites: [alpha]\n")
        self.write("tiny/tosca/topology.yaml", TOPOLOGY)
        self.write("tiny/data/text.txt", "one two three\n")
        self.write("tiny/step/src/run.sh", RUN)
        self.write("tiny/step/src/task.py", TASK)
        self.write("tiny/step/eflows4hpc.yaml", "apt: []\n")
        self.commit = self.developer.commit("feat: tiny")
        taken, said = self.developer.push("tiny")
        assert taken, said
        assert "passed" in said, said
        taken, said = self.developer.push("tiny:main")
        assert taken, said
        self.until(lambda: self.deployment()["state"] == "ACTIVE", lambda: str(self.deployment()))

    def deployment(self) -> dict[str, Any]:
        found = self.user.json("GET", "/deployments")["deployments"]
        return next((d for d in found if d["id"] == "tiny@alpha"), {"state": "NONE"})

    def run(self, **inputs: str) -> str:
        body = {"inputs": {"user_id": "alice", "vault_id": self.key, **inputs}}
        name: str = self.user.json("POST", "/workflows/tiny@alpha", json=body)["id"]
        return name

    def end(self, execution: str) -> dict[str, Any]:
        def found() -> dict[str, Any]:
            answer: dict[str, Any] = self.user.json("GET", f"/executions/{execution}")
            return answer

        self.until(
            lambda: found()["status"] in {"SUCCESS", "FAILED", "CANCELLED"}, lambda: str(found())
        )
        return found()

    @staticmethod
    def until(done: Any, what: Any, seconds: float = 120) -> None:
        limit = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < limit, what()
            time.sleep(0.2)


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    cluster: Cluster,
    engine: Engine,
    busybox_base: Path,
    apptainer: Path,
) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("path"), cluster, engine, busybox_base, apptainer)
    made.publish()
    yield made
    made.service.stop()


def test_data_goes_in_and_results_come_out(world):
    found = world.end(world.run())
    assert (found["status"], found["message"]) == ("SUCCESS", "")
    assert found["commit"] == world.commit
    assert world.user.call("GET", found["outputs"]["result"]).text.strip() == "3"
    [job] = found["jobs"]
    assert (job["operation"], job["state"], job["exit_code"]) == ("Job", "SUCCEEDED", 0)
    lines = world.user.json("GET", f"/executions/{found['id']}/logs")["logs"]
    assert "Job: mode count" in [line["content"] for line in lines]


def test_a_job_that_fails_tells_its_last_words(world):
    found = world.end(world.run(mode="fail"))
    assert found["status"] == "FAILED"
    assert "exit code 7" in found["message"]
    assert "the mesh has a hole" in found["message"]
    assert found["outputs"] == {}


def test_a_cancel_ends_the_job_at_the_site(world):
    name = world.run(mode="wait")
    running = lambda: [j["state"] for j in world.user.json("GET", f"/executions/{name}")["jobs"]]  # noqa: E731
    world.until(lambda: running() == ["RUNNING"], running)
    world.user.call("DELETE", f"/executions/{name}")
    assert world.end(name)["status"] == "CANCELLED"
    queue = lambda: world.cluster.admin("squeue", "--noheader", "--format=%j %T")  # noqa: E731
    world.until(lambda: name not in queue(), queue)


def test_an_execution_goes_on_after_the_service_was_killed(world):
    name = world.run()
    world.service.kill()
    world.service.start()
    assert world.end(name)["status"] == "SUCCESS"
    assert world.cluster.job_names().count(f"waas-{name}-Job") == 1


def test_wrong_inputs_are_refused_with_the_right_names(world):
    with pytest.raises(EntryError, match=r"there is no input 'mood'.*mode"):
        world.run(mood="count")


def test_a_tree_that_is_made_to_hurt_gets_a_verdict_too(world):
    world.developer.branch("deep")
    world.write("/".join(["deep"] * 60) + "/file", "x")
    world.developer.commit("feat: deep")
    _, said = world.developer.push("deep")
    assert "did not pass" in said
    assert "nested more than" in said


def test_a_branch_behind_main_is_told_to_rebase(world):
    world.developer.branch("old", f"{world.commit}~1")
    world.write("tiny/data/old.txt", "old\n")
    world.developer.commit("feat: old")
    _, said = world.developer.push("old")
    assert "does not contain the newest commit of main" in said
    assert "git rebase" in said


def test_a_change_of_the_catalogue_names_the_workflows_that_it_breaks(world, tmp_path):
    developer = Developer(tmp_path, world.settings.repositories["software-catalog"])
    developer.branch("rename")
    package = developer.clone / "packages" / "py-ezyrb"
    (package / "ezyrb.json").rename(package / "reduce.json")
    developer.commit("refactor: another name")
    _, said = developer.push("rename")
    assert "did not pass" in said
    assert "breaks workflow tiny (tiny/step/src/task.py:4" in said
    assert "affects workflows: tiny" in said


def test_a_key_that_the_site_does_not_know_is_a_sentence(world):
    other = PatientClient(
        world.settings.url, Tokens(Database(world.settings.database)).create("bob")[1]
    )
    key = other.json("POST", "/ssh_keys", json={})["id"]
    body = {"inputs": {"user_id": "bob", "vault_id": key}}
    name = other.json("POST", "/workflows/tiny@alpha", json=body)["id"]
    world.until(
        lambda: other.json("GET", f"/executions/{name}")["status"] == "FAILED",
        lambda: str(other.json("GET", f"/executions/{name}")),
    )
    message = other.json("GET", f"/executions/{name}")["message"]
    assert "alpha" in message
    assert "key" in message


def test_what_a_deployment_put_in_place_cannot_be_changed_by_users(world):
    path = f"/srv/scratch/waas/workflows/tiny/{world.commit}/tiny/step/src/run.sh"
    listed = world.cluster.admin("find", "/srv/scratch/waas", "-perm", "/022", "-not", "-type", "l")
    assert listed.strip() == "", path


def test_a_second_version_takes_over_and_the_image_is_promoted_not_rebuilt(world):
    world.developer.branch("second")
    world.write("tiny/data/text.txt", "one two three four\n")
    second = world.developer.commit("feat: four words")
    taken, said = world.developer.push("second")
    assert taken, said
    assert "reuse" in said or "from the store" in said, said  # as planned, or as already done
    assert world.developer.push("second:main")[0]
    world.until(lambda: world.deployment().get("active") == second, lambda: str(world.deployment()))
    found = world.end(world.run())
    assert world.user.call("GET", found["outputs"]["result"]).text.strip() == "4"


def test_secrets_are_nowhere_in_clear(world):
    with sqlite3.connect(world.settings.home / "state" / "waas.db") as connection:
        dump = "\n".join(connection.iterdump())
    assert "PRIVATE KEY" not in dump
    for file in world.settings.home.rglob("*"):
        if file.is_file() and file.stat().st_size < 5_000_000:
            assert b"OPENSSH PRIVATE KEY" not in file.read_bytes(), file


def test_without_images_the_verdict_stands_and_the_plan_is_missing(tmp_path, world):
    """A service whose base image is out of reach still serves, and says what is wrong."""
    builder = {"base": f"oci-layout://{tmp_path}/none"}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = home.make(tmp_path / "home", listen=listen, builder=builder)
    site = world.settings.sites / "alpha.yaml"
    (settings.sites / "alpha.yaml").write_text(site.read_text())
    service = Service(settings)
    service.start()
    try:
        developer = Developer(tmp_path, settings.repositories["workflow-registry"])
        developer.branch("tiny")
        settings_file = developer.clone / "minimal_workflow" / "waas.yaml"
        settings_file.write_text("title: Tiny\nmaintainers: [Tests]\nsites: [alpha]\n")
        developer.commit("feat: deploy it")
        _, said = developer.push("tiny")
    finally:
        service.stop()
    assert "passed" in said
    assert "images cannot be had for now" in said
    assert "is no OCI layout" in said
