"""Stand-ins for Slurm's commands: they note what they are asked, and say what a test wants."""

import json
import os
from pathlib import Path

import pytest
from test_whole_path import write_dataset

SUITE = """
title = "Shapes"
[defaults]
dataset = "shapes_unseen"
backbone = "conv4"
weights = "none"
resize = 16
crop = 16
dim = 16
batch = 16
lr = 0.01
epochs = 2
precision = "fp32"
schedule = "constant"
augmentation = "affine"
monitor = "none"
[[run]]
label = "chance"
method = "random"
[[run]]
method = "invaspread"
seeds = [0, 1]
"""
SBATCH = """#!/bin/sh
cp "$1" '{home}/script.sh'
[ ! -s '{home}/refusal' ] || {{ cat '{home}/refusal' >&2; exit 1; }}
echo "Submitted batch job 7"
"""
SQUEUE = """#!/bin/sh
[ ! -e '{home}/silent' ] || exit 1
cat '{home}/queue'
"""
SCANCEL = """#!/bin/sh
echo "$*" >>'{home}/cancelled'
"""


class Scheduler:
    """Commands by Slurm's names in a folder that comes first on PATH."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "bin").mkdir(parents=True)
        self.queue()
        for name, text in {"sbatch": SBATCH, "squeue": SQUEUE, "scancel": SCANCEL}.items():
            path = home / "bin" / name
            path.write_text(text.format(home=home))
            path.chmod(0o755)
        (home / "bin" / "srun").symlink_to("/bin/true")

    def queue(self, *lines: str) -> None:
        """Let squeue say these lines."""
        (self.home / "queue").write_text("".join(f"{line}\n" for line in lines))

    def refuse(self, line: str) -> None:
        (self.home / "refusal").write_text(line)

    def silence(self) -> None:
        (self.home / "silent").touch()

    def script(self) -> list[str]:
        """What sbatch was given."""
        return (self.home / "script.sh").read_text().splitlines()

    def cancelled(self) -> list[str]:
        path = self.home / "cancelled"
        return path.read_text().split() if path.exists() else []


def with_scheduler(monkeypatch: pytest.MonkeyPatch, home: Path) -> Scheduler:
    made = Scheduler(home)
    monkeypatch.setenv("PATH", f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return made


def write_suite(place: Path) -> Path:
    write_dataset(place / "data")
    path = place / "shapes.toml"
    path.write_text(SUITE)
    return path


def states(results: Path) -> dict[str, dict[str, object]]:
    """What each run that was handed over says of itself, by the name of its note."""
    return {
        path.parent.name: json.loads(path.read_text())
        for path in sorted(results.glob("jobs/*/state.json"))
    }
