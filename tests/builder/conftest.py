"""Fakes of the builder's seams, and requests to try them with."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import pytest

from builder.backends.seams import BuildContext, Built, Cancelled, LogLine, never
from builder.build import BuildRequest, ImageService
from builder.process import CancelledError
from builder.secrets import detect_secrets
from builder.settings import BuilderSettings, resolve_base
from builder.supply.signature import new_key
from ci.software.environment import read_environment
from ci.target import Target

if TYPE_CHECKING:
    from hooks.testbed.engine import Engine


class FakeBuilder:
    """Writes a file instead of an image; counts builds; fails or hangs as it is told."""

    name = "fake"

    def __init__(self) -> None:
        self.contexts: list[BuildContext] = []
        self.seen: dict[str, tuple[str, int]] = {}  # path in the context → text, mode
        self.act: Callable[[], None] = lambda: None
        self._lock = Lock()

    def available(self) -> str:
        return ""

    def build(
        self,
        context: BuildContext,
        folder: Path,
        log: LogLine,
        *,
        timeout: float,
        cancelled: Cancelled = never,
    ) -> Built:
        with self._lock:
            self.contexts.append(context)
        for name, source in context.files.items():
            for path in source.rglob("*"):
                if path.is_file():
                    inside = f"{name}/{path.relative_to(source)}"
                    self.seen[inside] = (path.read_text(), path.stat().st_mode & 0o777)
        log("building")
        self.act()
        if cancelled():
            raise CancelledError
        made = folder / "image"
        made.mkdir()
        (made / "content").write_bytes(b"image")
        return Built(made, "sandbox", "sha256:" + "1" * 64)


def fake_convert(
    built: Built, output: Path, settings: BuilderSettings, log: LogLine, **_: object
) -> None:
    """Write a file instead of a SIF."""
    log("converting")
    output.write_bytes(b"SIF of " + (built.path / "content").read_bytes())


@pytest.fixture
def image_builder() -> FakeBuilder:
    return FakeBuilder()


@pytest.fixture
def builder_settings(tmp_path: Path, signing_key: Callable[[], str]) -> BuilderSettings:
    return BuilderSettings(
        base="oci-layout:///nowhere",
        base_digest="sha256:" + "0" * 64,
        store=tmp_path / "images",
        work=tmp_path / "work",
        signing_key=signing_key,
    )


@pytest.fixture
def signing_key() -> Callable[[], str]:
    """A key to sign images with."""
    text = new_key()
    return lambda: text


@pytest.fixture
def service_with(image_builder: FakeBuilder) -> Callable[[BuilderSettings], ImageService]:
    """Make an image service of fakes with these settings."""
    return partial(ImageService, image_builder=image_builder, convert=fake_convert)


@pytest.fixture
def images(
    builder_settings: BuilderSettings, service_with: Callable[[BuilderSettings], ImageService]
) -> ImageService:
    return service_with(builder_settings)


@pytest.fixture
def request_for() -> Callable[..., BuildRequest]:
    """Make a request: ``request_for({path: text}, microarchitecture=…, scope=…)``."""

    def make(
        files: dict[str, str] | None = None,
        *,
        microarchitecture: str = "x86_64",
        step: str = "hello",
        scope: str = "main",
        **fields: str,
    ) -> BuildRequest:
        contents = {path: text.encode() for path, text in (files or {}).items()}
        return BuildRequest(
            workflow="example",
            step=step,
            environment=read_environment(contents, f"example/{step}"),
            target=Target(microarchitecture=microarchitecture, **fields),
            files=contents,
            scope=scope,
        )

    return make


@pytest.fixture
def real_settings(
    engine: Engine, apptainer: Path, tmp_path: Path, signing_key: Callable[[], str]
) -> Callable[..., BuilderSettings]:
    """Make settings for a real engine: ``real_settings(layout, **fields)``."""

    def make(layout: Path, **fields: object) -> BuilderSettings:
        base, digest = resolve_base(f"oci-layout://{layout}")
        return BuilderSettings(
            base=base,
            base_digest=digest,
            store=tmp_path / "images",
            work=tmp_path / "work",
            signing_key=signing_key,
            environment=engine.environment,
            apptainer=(str(apptainer),),
            **fields,  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def build_secrets(tmp_path: Path) -> dict[str, Path]:
    """What a build needs to reach Debian's and Python's packages from this machine."""
    return detect_secrets(os.environ, tmp_path / "secrets")
