"""Programs of linux/arm64 on this machine, by QEMU (https://www.qemu.org/docs/master/user/).

The kernel starts the emulator for such programs (binfmt_misc,
https://docs.kernel.org/admin-guide/binfmt-misc.html). The entry is made in a mount namespace, and
is gone with it where nobody else has binfmt_misc mounted; until then all of this machine can run
arm64's programs, which nothing else here could.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from ci.errors import SettingsError
from hooks.testbed.cache import make_once
from hooks.testbed.setup import Progress, run_script

_SCRIPT = Path(__file__).with_name("get-emulator.sh")
# The first 20 bytes of an ELF file for AArch64, and which bits of them count. The backslashes are
# for the kernel to decode: raw bytes would end at the first zero, and match every program.
_MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
# All mounts of binfmt_misc show the same entries, which last as long as any of the mounts.
_MOUNTED = """
cd /proc/sys/fs/binfmt_misc || exit
[ -e register ] || { mount -t binfmt_misc binfmt_misc . && cd /proc/sys/fs/binfmt_misc; } || exit
"""
_REGISTER = f'{_MOUNTED}[ -e "$1" ] || printf %s "$2" > register'
_FORGET = f'{_MOUNTED}[ ! -e "$1" ] || echo -1 > "$1"'


def ensure_emulator(cache: Path, progress: Progress = lambda _: None) -> Path:
    """Return the emulator for linux/arm64, fetched at first use (about 10 s)."""

    def make(part: Path) -> None:
        progress("fetching QEMU")
        run_script(["bash", str(_SCRIPT), str(part)], "fetching QEMU")

    return make_once(cache / "emulator", make) / "qemu-aarch64-static"


def register(name: str, emulator: Path, process: int, root: list[str]) -> None:
    """Make the entry ``name`` in the mount namespace of a process; that there is one is fine.

    ``root`` is what goes before a command that needs root. The kernel opens the emulator now
    (flag F), so that it is found in containers. Raises ``SettingsError``.
    """
    line = f":{name}:M::{_MAGIC}:{_MASK}:{emulator}:F"
    argv = [*root, "nsenter", f"--target={process}", "--mount"]
    argv += ["sh", "-c", _REGISTER, "sh", name, line]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode:
        told = done.stderr.strip() or "no reason given"
        raise SettingsError(f"this machine cannot emulate linux/arm64: {told}")


def forget(name: str, root: list[str]) -> None:
    """Remove an entry that another mount of binfmt_misc has kept; that there is none is fine."""
    argv = [*root, "unshare", "--mount", "sh", "-c", _FORGET, "sh", name]
    subprocess.run(argv, check=False, capture_output=True)
