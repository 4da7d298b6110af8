"""How long ``waas`` takes to start, beside the interpreter alone. Prints figures, asserts none."""

import statistics
import subprocess
import sys
import time

RUNS = 15


def seconds(argv: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def test_console_start() -> None:
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "waas --help": [sys.executable, "-m", "hooks.cli.main", "--help"],
        "waas workflows --help": [sys.executable, "-m", "hooks.cli.main", "workflows", "--help"],
        "waas validate --help": [sys.executable, "-m", "hooks.cli.main", "validate", "--help"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(RUNS):
        for name, argv in commands.items():
            times[name].append(seconds(argv))
    base = statistics.median(times["python -c pass"])
    for name, found in times.items():
        median = statistics.median(found)
        print(f"{name:24s} median {median * 1000:6.0f} ms  {median / base:5.1f} × the interpreter")
