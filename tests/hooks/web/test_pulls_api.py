"""Pull requests over HTTP: what is shown, who may merge, and that other sites' pages may not."""

import pytest

from ci.errors import SiteError
from ci.findings import Report
from hooks.dispatch.pulls import Pushed

REPO = "workflow-registry"
PAGE = f"/pages/pulls/{REPO}/1"


@pytest.fixture
def ada(service):
    return {"Authorization": f"Bearer {service.tokens.create('ada')[1]}"}


@pytest.fixture
def pull(service, commit):
    """A pull request by ada that was judged: ``pull("PASSED")``."""

    def make(verdict="PASSED"):
        head = commit("<script>", "topic")
        service.desk.dispatcher.align(REPO, Pushed("topic", head, "ada"))
        [row] = service.pulls.of(REPO)
        values = {"verdict": verdict, "report": Report.of([]).to_dict(), "plan": {"builds": []}}
        assert service.pulls.judged(row.id, (row.base, row.head), values)
        return service.pulls.get(row.id)

    return make


def main_of(service):
    return service.hosting.forges[REPO].look().main


def test_one_is_shown_with_its_changes(service, pull, ada):
    row = pull()
    found = service.client.get(f"/pulls/{REPO}/1", headers=ada).get_json()
    assert (found["number"], found["head"], found["author"]) == (1, row.head, "ada")
    page = service.client.get(PAGE, headers=ada).text
    assert "rom/solve/notes.txt" in page
    assert "+&lt;script&gt;" in page
    assert "<script>" not in page
    listed = service.client.get("/pulls?state=open", headers=ada).get_json()["pulls"]
    assert [p["number"] for p in listed] == [1]
    assert service.client.get("/pulls?state=merged", headers=ada).get_json()["pulls"] == []


@pytest.mark.parametrize(
    "path",
    [
        f"/pulls/{REPO}/{9**30}",
        f"/pages/pulls/{REPO}/{9**30}",
        f"/pulls/{REPO}/9",
        f"/pages/pulls/{REPO}/9",
        "/pulls/x/1",
    ],
)
def test_what_is_not_there_is_not_found(service, ada, path):
    assert service.client.get(path, headers=ada).status_code == 404


def test_the_merge_button_moves_main_to_what_was_validated(service, pull, ada):
    row = pull()
    assert row.head in service.client.get(PAGE, headers=ada).text
    answer = service.client.post(f"{PAGE}/merge", headers=ada, data={"head": row.head})
    assert answer.status_code == 303
    assert main_of(service) == row.head
    assert service.pulls.numbered(REPO, 1).state == "MERGED"
    again = service.client.post(f"/pulls/{REPO}/1/merge", headers=ada)
    assert again.status_code == 409
    assert "merged already" in again.get_json()["error"]


@pytest.mark.parametrize(
    ("verdict", "words"), [("FAILED", "did not pass"), ("PENDING", "validated")]
)
def test_what_did_not_pass_is_not_merged(service, pull, ada, verdict, words):
    row = pull(verdict)
    answer = service.client.post(f"/pulls/{REPO}/1/merge", headers=ada)
    assert (answer.status_code, main_of(service)) == (409, row.base)
    assert words in answer.get_json()["error"]
    assert "disabled" in service.client.get(PAGE, headers=ada).text


def test_a_verdict_on_an_older_main_is_no_verdict(service, pull, commit, ada):
    pull()
    newer = commit("meanwhile")
    answer = service.client.post(f"/pulls/{REPO}/1/merge", headers=ada)
    assert (answer.status_code, main_of(service)) == (409, newer)
    assert "older main" in answer.get_json()["error"]


def test_a_draft_is_not_merged(service, pull, ada):
    row = pull()
    service.pulls.judged(row.id, (row.base, row.head), {"draft": True})
    assert service.client.post(f"/pulls/{REPO}/1/merge", headers=ada).status_code == 409


def test_who_may_not_merge_is_told(service, pull, ada, monkeypatch):
    row = pull()
    monkeypatch.setattr(service.hosting.forges[REPO], "may", lambda user, right: right == "read")
    answer = service.client.post(f"/pulls/{REPO}/1/merge", headers=ada)
    assert (answer.status_code, main_of(service)) == (403, row.base)


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}]
)
def test_a_page_of_another_site_cannot_merge_for_a_browser(service, pull, headers):
    row = pull()
    token = service.tokens.create("ada")[1]
    for path in (f"{PAGE}/merge", f"/pulls/{REPO}/1/merge", f"/pulls/{REPO}/1/commands"):
        answer = service.client.post(path, headers=headers, auth=("ada", token))
        assert (answer.status_code, main_of(service)) == (403, row.base)
    own = {"headers": {"Sec-Fetch-Site": "same-origin"}, "auth": ("ada", token)}
    answer = service.client.post(f"{PAGE}/merge", data={"head": row.head}, **own)
    assert answer.status_code == 303


def test_a_commit_that_came_after_the_page_was_made_is_not_merged(service, pull, ada):
    row = pull()
    for data in ({"head": "f" * 40}, {}):
        answer = service.client.post(f"{PAGE}/merge", headers=ada, data=data)
        assert (answer.status_code, main_of(service)) == (409, row.base)
        assert f"is at {row.head[:10]} by now" in answer.text
    for body in ({"head": "f" * 40}, {"head": 3}):
        answer = service.client.post(f"/pulls/{REPO}/1/merge", headers=ada, json=body)
        assert (answer.status_code, main_of(service)) == (
            400 if body["head"] == 3 else 409,
            row.base,
        )
    answer = service.client.post(f"/pulls/{REPO}/1/merge", headers=ada, json={"head": row.head})
    assert (answer.status_code, main_of(service)) == (200, row.head)


def test_a_merge_holds_although_the_record_cannot_be_renewed_now(service, pull, ada, monkeypatch):
    def busy(_repository):
        raise SiteError("in use", transient=True)

    row = pull()
    monkeypatch.setattr(type(service.desk.dispatcher), "align", lambda _self, name: busy(name))
    answer = service.client.post(f"/pulls/{REPO}/1/merge", headers=ada)
    assert (answer.status_code, main_of(service)) == (200, row.head)


def test_buttons_and_commands_are_answered_and_shown(service, pull, ada):
    pull()
    answer = service.client.post(f"{PAGE}/validate", headers=ada)
    assert "is validated and planned again" in answer.text
    assert service.pulls.numbered(REPO, 1).verdict == "PENDING"
    given = service.client.post(f"/pulls/{REPO}/1/commands", json={"text": "/help"}, headers=ada)
    odd = service.client.post(
        f"/pulls/{REPO}/1/commands", json={"text": "/build \ud800\x00"}, headers=ada
    )
    assert "cannot be a site" in odd.get_json()["answer"]
    assert "/rollback SITE" in given.get_json()["answer"]
    assert "/help" in service.client.get(PAGE, headers=ada).text


def test_the_button_builds_the_commit_that_the_page_showed(service, pull, ada):
    row = pull()
    told = service.client.post(f"{PAGE}/build", headers=ada, data={"head": "f" * 40}).text
    assert "is not what it is at" in told
    told = service.client.post(f"{PAGE}/build", headers=ada, data={"head": row.head}).text
    assert "is validated and built" in told
    assert row.head in service.client.get(PAGE, headers=ada).text


@pytest.mark.parametrize("body", [{}, {"text": 3}, {"text": "hello"}, []])
def test_what_is_no_command_is_refused(service, pull, ada, body):
    pull()
    answer = service.client.post(f"/pulls/{REPO}/1/commands", json=body, headers=ada)
    assert answer.status_code == 400


def test_who_may_not_read_the_repository_sees_nothing_of_it(service, pull, ada, monkeypatch):
    row = pull()
    monkeypatch.setattr(service.hosting.forges[REPO], "_access", lambda _, right: right != "read")
    assert service.client.get("/pulls", headers=ada).get_json() == {"pulls": []}
    for path in (f"/pulls/{REPO}/1", PAGE):
        assert service.client.get(path, headers=ada).status_code == 404
    assert "topic" not in service.client.get("/", headers=ada).text
    for path, body in (
        (f"/pulls/{REPO}/1/merge", {}),
        (f"/pulls/{REPO}/1/commands", {"text": "/build"}),
    ):
        assert service.client.post(path, headers=ada, json=body).status_code == 404
    assert main_of(service) == row.base


def test_nothing_is_shown_without_a_token(service, pull):
    pull()
    for path in (f"/pulls/{REPO}/1", PAGE, "/pulls"):
        assert service.client.get(path).status_code == 401
    assert service.client.post(f"/pulls/{REPO}/1/merge").status_code == 401
