"""What Apptainer and the scripts of a definition tell when they fail. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from builder.backends.faults import failed
from ci.errors import SettingsError, WaasError

_LAST_LINES, _STEP_CHARACTERS = 5, 160
_PREFIX = re.compile(r"^(?:INFO|WARNING|FATAL|ERROR)\s*:\s*")
_ERROR_LINE = re.compile(
    r"^E: |^\s*(\S+: )*(?i:fatal |internal )?(?i:error|fatal)\b"
    r"|not found$|No such file or directory"
)
_SCRIPT = re.compile(r"Running post scriptlet$")
_FAILED = re.compile(r"^FATAL: .*while running %post section")


def build_failure(lines: Sequence[str]) -> WaasError:
    """Return the error for a build that failed, with the first that the failing script told."""
    started = [number for number, line in enumerate(lines) if _SCRIPT.search(line)]
    if not any(map(_FAILED.search, lines[-_LAST_LINES:])):
        return SettingsError(f"apptainer cannot build: {_last(lines)}")
    output = lines[started[-1] + 1 if started else 0 :]
    told = _script_output(output)
    traced = [line.lstrip("+ ") for line in output if line.startswith("+ ")]  # by `sh -x`
    step = traced[-1] if traced else "the recipe's scripts"
    return failed(_reason(told), step[:_STEP_CHARACTERS], told)


def test_failure(lines: Sequence[str]) -> WaasError:
    """Return the error for tests that failed, with the first that they told."""
    if lines[-1].startswith("FATAL"):
        return SettingsError(f"apptainer cannot run the image's tests: {_last(lines)}")
    told = _script_output(lines)
    return failed(_reason(told), "the tests", told)


def _reason(told: Sequence[str]) -> str:
    return next(filter(_ERROR_LINE.search, told), told[-1] if told else "no reason given")


def _script_output(lines: Iterable[str]) -> list[str]:
    """Lines of a script: not Apptainer's own, not those of the shell's ``set -x``."""
    return [
        line for line in lines if line and not line.startswith("+ ") and not _PREFIX.match(line)
    ]


def _last(lines: Sequence[str]) -> str:
    own = [_PREFIX.sub("", line) for line in lines if line.startswith(("FATAL", "ERROR"))]
    return (own or list(lines) or ["no reason given"])[-1]
