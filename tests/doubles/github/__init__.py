"""A double of GitHub on 127.0.0.1, held to GitHub's own description of its API and its webhooks.

Every request that reaches it and every answer that it gives is checked by ``openapi-core`` against
what GitHub publishes (``SOURCES.md``); what does not fit stands in ``double.violations``, and
``running`` fails at its end if there are any::

    from doubles.github import running             # in tests: tests/ is on the path

    with running(tmp_path) as double:              # at double.api, as on GitHub Enterprise
        double.create_repository("lab/registry", {"README.md": "…"})
        token = double.token("waas", {"lab/registry": "write"})       # a user's token
        app = double.app(["lab/registry"])         # .id .installation .key (PEM) .login
        number = double.open_pull("lab/registry", "topic", "Title", "ada", files={"a": "b"})
        double.comment("lab/registry", number, "ada", "/plan")
        double.hook("http://127.0.0.1:1/webhooks/github", "secret", slug="lab/registry")
        double.fail("POST /repos/*/issues/*/comments", times=2, how="502")
        print(double.effects("lab/registry"))

PyGithub is told ``base_url=double.api``; git clones ``double.web + "/lab/registry.git"`` with any
name and a token as password. What people do are methods of ``GitHubDouble``; failures are in
``faults``, and webhooks that are late, doubled or lost in ``sending.Weather``.

As a process of its own: ``python -m tests.doubles.github --state DIR --port N``; it prints its
address, and ``remote.RemoteDouble(address)`` has the methods above.
"""

from .double import GitHubDouble
from .fixture import running
from .remote import RemoteDouble

__all__ = ["GitHubDouble", "RemoteDouble", "running"]
