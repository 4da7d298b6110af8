"""Another site's page can neither make a browser change something here nor show ours as its own."""

import pytest
from flask import Flask

from hooks.web.errors import register
from hooks.web.origin import guard


@pytest.fixture
def client():
    app = Flask("test")
    register(app)
    guard(app)
    app.route("/", methods=["GET", "POST", "DELETE"])(lambda: "done")
    return app.test_client()


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": "http://localhost.evil.example"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_what_another_page_sends_changes_nothing(client, headers, method):
    answer = client.open("/", method=method, headers=headers, auth=("ada", "token"))
    assert answer.status_code == 403
    assert "from a page of this service" in answer.get_json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost"},
        {"Origin": "https://app.example", "Authorization": "Bearer x"},
    ],
)
def test_our_pages_and_programs_may(client, headers):
    assert client.post("/", headers=headers).status_code == 200


@pytest.mark.parametrize("headers", FOREIGN)
def test_looking_is_free(client, headers):
    assert client.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/", "/nothing"])
def test_no_page_is_shown_inside_another(client, path):
    headers = client.get(path).headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
