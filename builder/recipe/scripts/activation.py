"""Runs in the builder stage: what ``spack env activate --sh`` says, as an image needs it.

That is lines ``export NAME=value;`` with today's PATH at the end of the new one, and some for
people. Written is a script that puts the view before the PATH of whoever sources it.
"""

import shlex
import sys


def exports(text: str, path: str) -> list[str]:
    """Return the lines of the script; ``path`` is what PATH was."""
    lines = []
    for line in text.splitlines():
        if line.startswith("export ") and not line.startswith("export SPACK_"):
            name, _, value = shlex.split(line.rstrip(";"))[1].partition("=")
            value = shlex.quote(value.removesuffix(":" + path))
            lines.append("export " + name + "=" + value + (':"$PATH"' if name == "PATH" else ""))
    return lines


if __name__ == "__main__":
    print("\n".join(exports(sys.stdin.read(), sys.argv[1])))
