"""Count the words of a text: ``wordcount.py TEXT [--most N]`` writes counts.json."""

import argparse
import json
import re
from collections import Counter
from pathlib import Path


def count(text: str) -> Counter[str]:
    """How often each word occurs; words are runs of letters, without regard to case."""
    return Counter(re.findall(r"[^\W\d_]+", text.lower()))


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description="Count the words of a text.")
    parser.add_argument("text", type=Path)
    parser.add_argument("--most", type=int, default=10, help="how many words to list")
    given = parser.parse_args()
    counts = count(given.text.read_text(encoding="utf-8"))
    listed = dict(counts.most_common(given.most))
    result = {"words": counts.total(), "different": len(counts), "most_common": listed}
    Path("counts.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for word, number in listed.items():
        print(f"{number:6d}  {word}")


if __name__ == "__main__":
    main()
