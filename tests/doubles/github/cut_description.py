"""Cuts GitHub's published descriptions to what the double has, and takes its real examples.

    python cut_description.py FOLDER

FOLDER has three packages of the npm registry, unpacked, as ``npm pack`` and ``tar`` leave them in
folders of their own: ``openapi``, ``openapi-webhooks`` and ``webhooks-examples``. What comes out
lies beside this file; ``SOURCES.md`` says where it is from. Tests never fetch anything.
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REPO = "/repos/{owner}/{repo}"
OPERATIONS = {
    "/app": "get",
    "/app/hook/config": "get",
    "/app/hook/deliveries": "get",
    "/app/hook/deliveries/{delivery_id}": "get",
    "/app/hook/deliveries/{delivery_id}/attempts": "post",
    "/app/installations": "get",
    "/app/installations/{installation_id}": "get",
    "/app/installations/{installation_id}/access_tokens": "post",
    "/installation/repositories": "get",
    "/rate_limit": "get",
    "/user": "get",
    REPO: "get",
    f"{REPO}/branches": "get",
    f"{REPO}/branches/{{branch}}": "get",
    f"{REPO}/check-runs": "post",
    f"{REPO}/check-runs/{{check_run_id}}": "get patch",
    f"{REPO}/check-runs/{{check_run_id}}/annotations": "get",
    f"{REPO}/collaborators/{{username}}/permission": "get",
    f"{REPO}/commits/{{ref}}": "get",
    f"{REPO}/commits/{{ref}}/check-runs": "get",
    f"{REPO}/commits/{{ref}}/status": "get",
    f"{REPO}/commits/{{ref}}/statuses": "get",
    f"{REPO}/commits/{{commit_sha}}/pulls": "get",
    f"{REPO}/deployments": "get post",
    f"{REPO}/deployments/{{deployment_id}}": "get",
    f"{REPO}/deployments/{{deployment_id}}/statuses": "get post",
    f"{REPO}/git/ref/{{ref}}": "get",
    f"{REPO}/hooks": "get",
    f"{REPO}/hooks/{{hook_id}}/deliveries": "get",
    f"{REPO}/hooks/{{hook_id}}/deliveries/{{delivery_id}}": "get",
    f"{REPO}/hooks/{{hook_id}}/deliveries/{{delivery_id}}/attempts": "post",
    f"{REPO}/installation": "get",
    f"{REPO}/issues/comments": "get",
    f"{REPO}/issues/comments/{{comment_id}}": "get patch delete",
    f"{REPO}/issues/comments/{{comment_id}}/reactions": "get post",
    f"{REPO}/issues/{{issue_number}}/comments": "get post",
    f"{REPO}/issues/{{issue_number}}/labels": "get post put",
    f"{REPO}/issues/{{issue_number}}/labels/{{name}}": "delete",
    f"{REPO}/labels": "get post",
    f"{REPO}/labels/{{name}}": "get",
    f"{REPO}/pulls": "get",
    f"{REPO}/pulls/{{pull_number}}": "get",
    f"{REPO}/pulls/{{pull_number}}/commits": "get",
    f"{REPO}/pulls/{{pull_number}}/merge": "put",
    f"{REPO}/statuses/{{sha}}": "post",
}
WEBHOOKS = (
    *("ping", "push", "create", "delete", "pull-request-review-submitted"),
    *(f"pull-request-{a}" for a in ("opened", "synchronize", "closed", "reopened", "edited")),
    *(f"pull-request-{a}" for a in ("labeled", "unlabeled", "ready-for-review")),
    "pull-request-converted-to-draft",
    *(f"issue-comment-{a}" for a in ("created", "edited", "deleted")),
    *("check-run-rerequested", "check-run-created", "check-run-completed"),
    *("check-suite-requested", "check-suite-rerequested"),
)
EXAMPLES = (
    *("push", "create", "delete", "ping", "pull_request", "pull_request_review", "issue_comment"),
    *("check_run", "check_suite"),
)


def reached(node: Any, components: dict[str, Any], found: dict[tuple[str, str], Any]) -> None:
    """Put all components that a part names into ``found``, and those that they name."""
    if isinstance(node, list):
        for item in node:
            reached(item, components, found)
    elif isinstance(node, dict):
        name = node.get("$ref")
        if isinstance(name, str) and name.startswith("#/components/"):
            kind, _, key = name.removeprefix("#/components/").partition("/")
            if (kind, key) not in found:
                found[kind, key] = components[kind][key]
                reached(components[kind][key], components, found)
        for value in node.values():
            reached(value, components, found)


def with_components(part: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """The part with all that it names."""
    found: dict[tuple[str, str], Any] = {}
    reached(part, components, found)
    chosen: dict[str, Any] = {}
    for (kind, key), value in sorted(found.items()):
        chosen.setdefault(kind, {})[key] = value
    return part | {"components": chosen}


def rest(full: dict[str, Any]) -> dict[str, Any]:
    """The description of the REST API."""
    full = without_examples(full)
    paths = {
        path: {verb: full["paths"][path][verb] for verb in verbs.split()}
        for path, verbs in OPERATIONS.items()
    }
    for verbs in paths.values():
        for operation in verbs.values():
            for word in ("tags", "summary", "description", "externalDocs", "x-github", "x-octokit"):
                operation.pop(word, None)
    head = {name: full[name] for name in ("openapi", "servers")}
    head["info"] = {k: full["info"][k] for k in ("title", "version", "license")}
    return with_components(head | {"paths": paths}, full["components"])


def webhooks(full: dict[str, Any]) -> dict[str, Any]:
    """The description of the payloads."""
    full = without_examples(full)
    bodies = {
        name: full["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]["schema"]
        for name in WEBHOOKS
    }
    head = {"openapi": full["openapi"], "info": full["info"], "bodies": bodies}
    return with_components(head, full["components"])


def without_examples(full: dict[str, Any]) -> dict[str, Any]:
    """The description, without the words for people in its schemas and without examples."""
    components = {
        kind: {key: shorn(value, kind) for key, value in parts.items()}
        for kind, parts in full["components"].items()
        if kind != "examples"
    }
    return {**shorn(full, ""), "components": components}


def shorn(node: Any, above: str) -> Any:
    """A part without examples; what stands under ``properties`` are names, and they stay."""
    if isinstance(node, list):
        return [shorn(item, "") for item in node]
    if not isinstance(node, dict):
        return node
    if above == "properties":
        return {key: shorn(value, "") for key, value in node.items()}
    is_schema = "type" in node or "properties" in node or "format" in node
    gone = {"example", "examples", "x-octokit", "x-github-breaking-changes"}
    gone |= {"description", "title"} if is_schema else set()
    if node.get("format") == "uri" and node.get("default") == "":
        gone.add("format")  # GitHub's own default for these, and what it answers
    kept = {key: shorn(value, key) for key, value in node.items() if key not in gone}
    if kept.get("nullable") is True and None not in kept.get("enum", [None]):
        kept["enum"] = [*kept["enum"], None]  # OpenAPI 3.0 would else forbid what it allows
    return kept


def write(name: str, value: Any) -> None:
    """As JSON, compressed; the same input gives the same bytes."""
    data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    (HERE / name).write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def main(folder: Path) -> None:
    read = lambda path: json.loads((folder / path).read_text())  # noqa: E731
    write("description.json.xz", rest(read("openapi/package/generated/api.github.com.json")))
    payloads = read("openapi-webhooks/package/generated/api.github.com.json")
    write("webhooks.json.xz", webhooks(payloads))
    examples = read("webhooks-examples/package/api.github.com/index.json")
    taken = {one["name"]: one["examples"] for one in examples if one["name"] in EXAMPLES}
    write("examples.json.xz", taken)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
