"""Images by ``docker buildx build`` (https://docs.docker.com/reference/cli/docker/buildx/build/)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from builder.backends.emulation import explained
from builder.backends.faults import failed
from builder.backends.files import place
from builder.backends.progress import Progress
from builder.backends.seams import BuildContext, Built, Cancelled, LogLine, never
from builder.process import TimeLimitError, run
from builder.recipe.model import IMAGE
from builder.settings import BuilderSettings
from ci.errors import EntryError, SettingsError, WaasError

_MESSAGE_CHARACTERS = 400


class Buildx:
    """BuildKit through Docker's client; several of these may share one engine."""

    name = "buildx"

    def __init__(self, settings: BuilderSettings) -> None:
        self._docker = tuple(settings.docker)
        self._environment = dict(settings.environment)
        self._network = settings.network
        self._epoch = settings.source_date_epoch

    def available(self) -> str:
        """Return nothing if an engine answers, else what is missing."""
        for arguments, missing in (
            (["buildx", "version"], "docker's plugin buildx is missing"),
            (["version", "--format", "{{.Server.Version}}"], "no container engine answers"),
        ):
            try:
                done = subprocess.run(
                    [*self._docker, *arguments],
                    env={**os.environ, **self._environment},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=30,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                return f"cannot run {self._docker[0]}: {error}"
            if done.returncode:
                told = (done.stderr or done.stdout).strip().splitlines() or [""]
                return f"{missing}: {told[-1]}"
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
        """See ``builder.backends.seams.ImageBuilder.build``."""
        scratch = Path(tempfile.mkdtemp(prefix=".buildx-", dir=folder)).resolve()
        end = time.monotonic() + timeout
        try:
            (scratch / "context").mkdir()
            (scratch / "recipe").write_text(context.recipe.dockerfile(context.cache_scope), "utf-8")
            for name, source in context.files.items():
                place(source, scratch / "context" / name)
            for stage in ("test", IMAGE) if context.recipe.tests else (IMAGE,):
                with explained(context.platform):
                    self._run(self._argv(context, scratch, stage), scratch, log, end, cancelled)
            digest = _digest(scratch / "metadata.json")
            (scratch / "image.tar").rename(folder / "image.tar")
            return Built(folder / "image.tar", "oci-archive", digest)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _run(
        self, argv: list[str], scratch: Path, log: LogLine, end: float, cancelled: Cancelled
    ) -> None:
        timeout = max(end - time.monotonic(), 0.0)
        progress = Progress()
        environment = {**self._environment, "SOURCE_DATE_EPOCH": str(self._epoch)}
        try:
            exit_code = run(
                argv,
                environment=environment,
                folder=scratch,
                on_output=_telling(progress, log),
                timeout=timeout,
                cancelled=cancelled,
            )
        except TimeLimitError as error:
            raise EntryError(
                "the build did not finish within its time limit",
                hint="ask for less software, or ask the operator for a longer time limit",
            ) from error
        if exit_code:
            raise self._failure(progress)

    def _argv(self, context: BuildContext, scratch: Path, stage: str) -> list[str]:
        """The command. Secrets appear as paths only; names come from us, never from entries."""
        argv = [*self._docker, "buildx", "build", "--progress=rawjson", "--provenance=false"]
        argv += [f"--platform={context.platform}", f"--network={self._network}"]
        argv += [f"--build-context=base={context.base}", f"--file={scratch / 'recipe'}"]
        argv += [f"--metadata-file={scratch / 'metadata.json'}"]
        # The archive lives for minutes: compressing new layers would cost more than it saves, and
        # so would rewrite-timestamp (10 s for a Debian with Python), which the SIF does again.
        archive = ("type=oci", "compression=uncompressed", f"dest={scratch / 'image.tar'}")
        output = _fields(*archive) if stage == IMAGE else "type=cacheonly"
        argv += [f"--target={stage}", f"--output={output}"]
        for name, path in context.secrets.items():
            argv += [f"--secret={_fields(f'id={name}', f'src={path}')}"]
        argv += [f"--label={name}={value}" for name, value in context.labels.items()]
        return [*argv, str(scratch / "context")]

    def _failure(self, progress: Progress) -> WaasError:
        step = progress.step_name()
        if step:
            return failed(progress.reason(), step, progress.lines())
        told = self.available() or progress.reason()[:_MESSAGE_CHARACTERS]
        return SettingsError(f"the image builder failed: {told}")


def _telling(progress: Progress, log: LogLine) -> Callable[[str], None]:
    def take(piece: str) -> None:
        for line in progress.feed(piece):
            log(line)

    return take


def _fields(*fields: str) -> str:
    """Join fields as buildx splits them: by the rules of CSV (RFC 4180)."""
    return ",".join('"' + f.replace('"', '""') + '"' if set(f) & set(',"') else f for f in fields)


def _digest(metadata: Path) -> str:
    """Read what ``--metadata-file`` says, the manifest's digest."""
    try:
        return str(json.loads(metadata.read_text("utf-8"))["containerimage.digest"])
    except (OSError, ValueError, KeyError) as error:
        raise SettingsError("docker buildx did not say the image's digest") from error
