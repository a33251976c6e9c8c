"""Commands under torchrun, and what became of each of their processes."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

RANKS = Path(__file__).with_name("ranks.py")
PATIENCE = 300  # seconds; processes that wait for each other for ever are a failure, not a wait


@dataclass
class Ended:
    """torchrun's status, what each process wrote (by its number), and with what status it ended."""

    status: int
    out: list[str]
    err: list[str]
    said: str

    def statuses(self):
        """The statuses that torchrun saw, of the processes that failed."""
        words = [line.split() for line in self.said.splitlines() if "exitcode  :" in line]
        return [int(line[2]) for line in words]


def torchrun(logs, *words, processes=2, restarts=0, **environment):
    """Start a module or a script in several processes; return what became of them."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    start += ["--nproc-per-node", str(processes), "--max-restarts", str(restarts)]
    start += ["--monitor-interval", "0.1", "--redirects", "3", "--log-dir", str(logs)]
    done = subprocess.run(
        [*start, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    return Ended(done.returncode, _texts(logs, "stdout"), _texts(logs, "stderr"), done.stderr)


def _texts(logs, stream):
    """What each process wrote, in all its attempts."""
    found = {}
    for log in sorted(logs.glob(f"*/attempt_*/*/{stream}.log")):
        rank = int(log.parent.name)
        found[rank] = found.get(rank, "") + log.read_text(errors="replace")
    return [found[rank] for rank in sorted(found)]


def meeting(processes=2):
    """The environment of each of several processes that meet without torchrun over them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    return [{**os.environ, **where, "RANK": str(rank)} for rank in range(processes)]


def noted(folder, deed, jobs=None, *, processes=2):
    """What a deed of `ranks` returned in each of several processes."""
    folder.mkdir(parents=True, exist_ok=True)
    ended = torchrun(folder / "logs", RANKS, folder, deed, json.dumps(jobs), processes=processes)
    assert ended.status == 0, ended.err
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(processes)]
