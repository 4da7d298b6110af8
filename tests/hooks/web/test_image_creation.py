"""The public Container Image Creation contract, as its own clients speak it."""

import json
import subprocess
import threading
from types import SimpleNamespace

import pytest

import hooks.web.image_creation as module
from ci.errors import EntryError
from ci.target import Target
from hooks.builds.spec import Asker

MACHINE = {"platform": "linux/amd64", "architecture": "rome", "container_engine": "singularity"}
BODY = {"machine": MACHINE, "workflow": "rom", "step_id": "solve"}


@pytest.fixture
def token(service):
    return service.tokens.create("alice")[1]


@pytest.fixture
def post(service, token):
    return lambda body, path="/build": service.client.post(path, json=body, auth=("me", token))


@pytest.fixture
def get(service, token):
    return lambda path, **more: service.client.get(path, auth=("me", token), **more)


@pytest.fixture
def curl(service, served, testbed_tools):
    """The program itself: ``curl(*words)`` and the path last; its output."""

    def run(*words):
        argv = ["curl", "--silent", "--show-error", "--insecure", "--location", *words[:-1]]
        done = subprocess.run([*argv, served + words[-1]], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_curl_gets_its_sif(service, curl, token, tmp_path):
    """The three requests of the public command-line client."""
    (tmp_path / "request.json").write_text(json.dumps(BODY))
    user = ("--user", f"somebody:{token}")
    kind = ("-H", "Content-Type: application/json", "-d", f"@{tmp_path}/request.json")
    answer = json.loads(curl("-X", "POST", *kind, *user, "/image_creation/build"))
    assert list(answer) == ["id"]
    path = f"/image_creation/build/{answer['id']}"
    waiting = json.loads(curl("-X", "GET", *user, path))
    assert waiting == {"status": "PENDING", "message": None, "image_id": None, "filename": None}
    service.run()
    done = json.loads(curl("-X", "GET", *user, path))
    assert (done["status"], done["message"]) == ("FINISHED", None)
    assert done["image_id"].startswith("sha256:")
    assert done["filename"].startswith("rom_solve_zen2_")
    content = curl(*user, f"/image_creation/images/download/{done['filename']}")
    assert content.startswith(b"SIF ")
    part = curl(*user, "-r", "4-11", f"/images/download/{done['filename']}")
    assert part == content[4:12]


def test_wget_which_shows_its_password_only_when_asked_gets_it_too(
    service, served, token, post, get, tmp_path, testbed_tools
):
    name = post(BODY).get_json()["id"]
    service.run()
    url = f"{served}/image_creation/images/download/{get(f'/build/{name}').get_json()['filename']}"
    argv = ["wget", "--no-check-certificate", "--user", "me", "--password", token, "--quiet"]
    subprocess.run([*argv, "-O", tmp_path / "x.sif", url], check=True, timeout=60)
    assert (tmp_path / "x.sif").read_bytes().startswith(b"SIF ")


@pytest.mark.parametrize("prefix", ["", "/image_creation"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_every_spelling_of_the_routes_is_taken(service, post, get, prefix, slash):
    answer = post(BODY, f"{prefix}/build{slash}")
    assert answer.status_code == 200
    service.run()
    done = get(f"{prefix}/build/{answer.get_json()['id']}{slash}").get_json()
    file = get(f"{prefix}/images/download/{done['filename']}{slash}")
    assert file.status_code == 200
    assert "attachment" in file.headers["Content-Disposition"]
    assert "bytes" in file.headers["Accept-Ranges"]


def test_the_client_that_logs_in_first_goes_on_with_what_it_was_given(service, token):
    """It takes ``token`` from /login and sends it as the user, with None as the password."""
    given = service.client.get("/image_creation/login", auth=("test", token)).get_json()["token"]
    auth = (given, "None")
    body = BODY | {"force": True}
    name = service.client.post("/image_creation/build/", json=body, auth=auth).get_json()["id"]
    service.run()
    done = service.client.get(f"/image_creation/build/{name}", auth=auth).get_json()
    assert done["status"] == "FINISHED"


def test_without_a_token_there_is_a_challenge_and_nothing_else(service):
    for method, path in [
        ("POST", "/build"),
        ("GET", "/build/x"),
        ("GET", "/image_creation/images/download/x.sif"),
        ("GET", "/login"),
    ]:
        for auth in (None, ("me", "wrong"), ("", "")):
            answer = service.client.open(path, method=method, auth=auth, json={})
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_hundred_at_once_are_one_build(service, fake_images, token):
    ids, barrier = [], threading.Barrier(100)

    def ask():
        client = service.application.test_client()
        barrier.wait()
        ids.append(client.post("/build", json=BODY, auth=("me", token)).get_json()["id"])

    threads = [threading.Thread(target=ask) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(ids), len(set(ids))) == (100, 1)
    service.run()
    assert len(fake_images.made) == 1


def test_what_is_there_is_finished_at_once_and_force_builds_it_anew(
    service, post, get, fake_images
):
    post(BODY)
    service.run()
    again = post(BODY).get_json()["id"]
    first = get(f"/build/{again}").get_json()
    assert first["status"] == "FINISHED"
    forced = post(BODY | {"force": "True"}).get_json()["id"]
    assert get(f"/build/{forced}").get_json()["status"] == "PENDING"
    service.run()
    anew = get(f"/build/{forced}").get_json()
    assert len(fake_images.made) == 2
    assert anew["filename"] == first["filename"]
    assert anew["image_id"] != first["image_id"]


def test_a_user_has_so_many_builds_at_a_time(service, post, monkeypatch):
    monkeypatch.setattr(module, "BUILDS_OF_A_USER", 2)
    for architecture in ("rome", "skylake"):
        assert post(BODY | {"machine": MACHINE | {"architecture": architecture}}).status_code == 200
    refused = post(BODY | {"machine": MACHINE | {"architecture": "haswell"}})
    assert refused.status_code == 429
    assert "you have 2 builds that go on" in refused.get_json()["error"]
    service.run()
    assert post(BODY | {"machine": MACHINE | {"architecture": "haswell"}}).status_code == 200


def test_a_failure_tells_its_first_error_and_a_cancel_is_a_failure_too(
    service, post, get, fake_images
):
    def act(*_):
        raise EntryError("E: no package libfoo", hint="did you mean libfoo-dev?")

    fake_images.act = act
    name = post(BODY).get_json()["id"]
    service.run()
    found = get(f"/build/{name}").get_json()
    assert found["status"] == "FAILED"
    assert found["message"] == "E: no package libfoo (did you mean libfoo-dev?)"
    other = post(BODY).get_json()["id"]
    assert other != name
    service.builds.cancel(other, SimpleNamespace(user="root", role="operator"))
    found = get(f"/build/{other}").get_json()
    assert (found["status"], found["message"]) == ("FAILED", "cancelled: cancelled by root")


@pytest.mark.parametrize("version", [None, "latest", "", "main"])
def test_without_a_version_it_is_the_newest_of_main(service, post, commit, version):
    head = commit("newer")
    body = BODY | ({} if version is None else {"version": version})
    assert service.builds.records.get(post(body).get_json()["id"]).commit == head


def test_a_version_is_a_tag_or_a_commit_of_mains_history(service, post, commit):
    old = service.builds.requests.mains.of("workflow-registry")
    commit("newer")
    for version in (old, old[:12], "main~1"):
        answer = post(BODY | {"version": version}).get_json()
        assert service.builds.records.get(answer["id"]).commit == old


def test_what_was_not_merged_is_not_built(service, post, commit):
    """Else whoever has a token could have anything built, and served as main's."""
    loose = commit("loose", "topic")
    for version in (loose, "topic", "0" * 40, "no-such", "--upload-pack=x", "main..topic", "a b"):
        answer = post(BODY | {"version": version})
        assert answer.status_code == 400, version
        assert answer.get_json()["error"]
    assert "not in the history of main" in post(BODY | {"version": "topic"}).get_json()["error"]
    assert service.builds.records.page()[1] == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "must be a JSON object"),
        ({}, "workflow: is missing"),
        (BODY | {"workflow": 3}, "workflow: must be text"),
        (BODY | {"workflow": "../etc"}, "there is no workflow"),
        (BODY | {"step_id": "$(reboot)"}, "has no step"),
        (BODY | {"machine": "zen2"}, "machine: 'zen2' is not an object"),
        (BODY | {"machine": MACHINE | {"architecture": "zen33"}}, "zen33"),
        (BODY | {"force": "perhaps"}, "force: must be true or false"),
        (BODY | {"push": 1}, "push: must be true or false"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(post, body, said):
    answer = post(body)
    assert answer.status_code == 400
    assert said in answer.get_json()["error"]


def test_a_push_needs_a_registry(service, post):
    assert post(BODY | {"push": False}).status_code == 200
    answer = post(BODY | {"push": True})
    assert (answer.status_code, "no registry" in answer.get_json()["error"]) == (409, True)
    service.settings.builder.registry = object()
    assert post(BODY | {"push": "true"}).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "../waas.db",
        "..%2fwaas.db",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/etc/passwd",
        "..",
        "x.sif",
        "x_" + "0" * 64 + ".sif",
        "rom_solve_zen2_" + "A" * 64 + ".sif",
        "a" * 5000,
        "%00",
        "rom%0a",
    ],
)
def test_no_name_leads_out_of_the_store(get, name):
    answer = get(f"/images/download/{name}")
    assert answer.status_code in {404, 308}
    assert b"root:" not in answer.data


def test_only_the_name_that_was_told_is_a_file_and_only_of_main(service, post, get, fake_images):
    name = post(BODY).get_json()["id"]
    service.run()
    row = service.builds.records.get(name)
    told = get(f"/build/{name}").get_json()["filename"]
    assert get(f"/images/download/{told.replace('solve', 'other')}").status_code == 404
    spec = module.BuildSpec("rom", "report", row.commit, "", Target(), "pull-3")
    pull = service.builds.ask(spec, Asker.flow("pull:r:3:1")).build
    service.run()
    found = get(f"/build/{pull}").get_json()
    assert (found["status"], found["filename"]) == ("FINISHED", None)
    [image] = [i for (_, scope), i in fake_images.there.items() if scope == "pull-3"]
    assert get(f"/images/download/{module.filename_of(image)}").status_code == 404


def test_an_image_that_was_removed_has_no_file_until_it_is_asked_for_again(
    service, post, get, fake_images
):
    name = post(BODY).get_json()["id"]
    service.run()
    told = get(f"/build/{name}").get_json()["filename"]
    fake_images.there.clear()
    assert get(f"/build/{name}").get_json()["filename"] is None
    gone = get(f"/images/download/{told}")
    assert (gone.status_code, "ask for the build again" in gone.get_json()["hint"]) == (404, True)
    again = post(BODY).get_json()["id"]
    assert again != name
    service.run()
    assert get(f"/build/{again}").get_json()["filename"] == told


def test_file_names_are_plain_whatever_workflow_and_step_are_called():
    named = SimpleNamespace(key="a" * 64, target=Target())
    for odd in ("..", "a/b", "é\n", "-x", "x" * 300, "", "a_b"):
        named.workflow = named.step = odd
        name = module.filename_of(named)
        assert module._FILE.fullmatch(name), name


def test_a_damaged_file_is_not_given_out(service, post, get, fake_images):
    name = post(BODY).get_json()["id"]
    service.run()
    path = f"/images/download/{get(f'/build/{name}').get_json()['filename']}"
    assert get(path).status_code == 200
    [image] = fake_images.there.values()
    content = bytearray(image.sif.read_bytes())
    content[7] ^= 1
    image.sif.write_bytes(content)
    refused = get(path)
    assert refused.status_code == 500
    assert "is damaged" in refused.get_json()["error"]
