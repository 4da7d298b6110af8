"""What is deployed on a site: list it, go back to another version, remove it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from builder.supply.signers import PublicKey, write_signers
from builder.supply.verify import NAMESPACE
from ci.errors import EntryError, SiteError
from ci.site import Site
from hooks.deployments import remote
from hooks.deployments.deploy import Proven, activate, put_signers
from hooks.deployments.plan import check_names, layout
from hooks.deployments.proofs import digests_on_site
from hooks.sites.seams import Transport


@dataclass(frozen=True, slots=True)
class Deployment:
    """A complete version on a site; ``current`` if it is the one that serves."""

    workflow: str
    commit: str
    current: bool
    manifest: Mapping[str, Any]

    @property
    def images(self) -> dict[str, int]:
        """Size by SHA-256 of the images that it needs."""
        steps = self.manifest.get("steps", {}).values()
        return {step["sha256"]: step["size"] for step in steps}

    @property
    def signed(self) -> list[str]:
        """SHA-256s of those that were deployed with a proof."""
        steps = self.manifest.get("steps", {}).values()
        return sorted({step["sha256"] for step in steps if step.get("signed")})


def list_deployments(transport: Transport, site: Site) -> list[Deployment]:
    """All complete versions on a site, by workflow and the time they were deployed."""
    root = str(layout(site).root)
    done = remote.call(transport, site, "list deployments", remote.LIST, root)
    found = []
    for line in done.stdout.splitlines():
        try:
            version, current, text = line.split(" ", 2)
            workflow, commit = version.split("/")
            manifest = json.loads(text)
        except ValueError:
            raise SiteError(
                f"a manifest cannot be read: {line[:120]!r}",
                site=site.name,
                hint=f"look at {root}/workflows; deploying the version again writes it anew",
            ) from None
        found.append(Deployment(workflow, commit, current == commit, manifest))
    return sorted(found, key=lambda d: (d.workflow, str(d.manifest.get("created", "")), d.commit))


def rollback(
    transport: Transport,
    site: Site,
    workflow: str,
    commit: str,
    *,
    signers: tuple[PublicKey, ...] = (),
) -> None:
    """Make a version that is still on the site the current one. Raises ``EntryError`` if none.

    Its images are hashed on the site, and their signatures checked: by ``signers``, or else by
    those that the last deployment has put there. Raises ``SiteError``; then nothing changes.
    """
    check_names(workflow, commit)
    versions = [d for d in list_deployments(transport, site) if d.workflow == workflow]
    for version in versions:
        if version.commit == commit:
            places = layout(site)
            proofs = digests_on_site(transport, site, places, version.signed, signers)
            digest = ""
            if signers:
                text = write_signers(signers, NAMESPACE, datetime.now(UTC))
                put_signers(transport, site, text)
                digest = hashlib.sha256(text.encode("ascii")).hexdigest()
            activate(transport, site, workflow, commit, version.images, Proven(proofs, digest))
            return
    known = ", ".join(d.commit[:12] for d in versions) or "none"
    raise EntryError(
        f"{workflow} at {commit[:12]} is not on site {site.name}",
        hint=f"versions that are: {known}",
    )


def undeploy(transport: Transport, site: Site, workflow: str, commit: str = "") -> None:
    """Remove a version, or all of them; and the images that no other version needs.

    That there is none is no error. Nothing looks whether an execution still uses it.
    """
    check_names(workflow, commit)
    places = layout(site)
    folder = places.workflow(workflow)
    what = f"remove {workflow}"
    remote.call(transport, site, what, remote.DEACTIVATE, str(folder), commit)
    found = list_deployments(transport, site)
    going = [d for d in found if d.workflow == workflow and commit in {"", d.commit}]
    needed = {sha256 for d in found if d not in going for sha256 in d.images}
    unneeded = sorted({sha256 for d in going for sha256 in d.images} - needed)
    gone = places.version(workflow, commit) if commit else folder
    args = (str(places.root), str(gone), *unneeded)
    # the folder goes last: until then a call that was cut finds what is left to do
    remote.call(transport, site, what, remote.REMOVE, *args)
