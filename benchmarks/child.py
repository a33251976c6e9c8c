"""One side of one case, once, in a process of its own: prints what it took as one JSON line."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.cases import Work, cases


def peak_bytes() -> int:
    """Return the largest memory that this process has had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def main(words: Sequence[str]) -> None:
    """Do CASE SIDE DEVICE SIZE, such as `train ours cpu full`."""
    name, side, device, size = words
    case = cases()[name]
    done = (case.ours if side == "ours" else case.theirs)(Work(size == "small", device))
    peak = 0 if case.elsewhere else peak_bytes()
    print(json.dumps({**asdict(done), "peak_bytes": peak}), flush=True)
    os._exit(0)  # workers that a loader keeps are not waited for


if __name__ == "__main__":
    main(sys.argv[1:])
