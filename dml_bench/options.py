"""Options that several commands share: each is said, and helped with, in one place."""

import argparse
from pathlib import Path

ROOTS = {"data": Path("datasets"), "results": Path("results")}


def device(p: argparse.ArgumentParser) -> None:
    """Say where it is computed."""
    p.add_argument("--device", default="auto", help="auto, cpu or cuda")


def root(p: argparse.ArgumentParser, name: str) -> None:
    """Say where data or results are."""
    flag = "--data-root" if name == "data" else "--results"
    p.add_argument(flag, type=Path, default=ROOTS[name], help=f"default: {ROOTS[name]}")


def recipe(p: argparse.ArgumentParser) -> None:
    """Say what a recipe is made of, and where its data and results are."""
    root(p, "data")
    root(p, "results")
    device(p)
    p.add_argument("--seed", type=int, help="default: the recipe's")
    p.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="NAME=VALUE",
        help="a recipe field or an option of the method; may be given often",
    )  # fmt: skip


def metrics(p: argparse.ArgumentParser, usual: str) -> None:
    """Say which metrics."""
    p.add_argument("--k", nargs="+", type=int, metavar="K", help="depths of Recall@K")
    p.add_argument("--metrics", nargs="+", metavar="NAME", help=f"instead of {usual}")


def logger(p: argparse.ArgumentParser) -> None:
    """Say who else is told of the epochs."""
    p.add_argument(
        "--logger", default="none", metavar="LOGGER",
        help="none, or tensorboard (an extra): each epoch to RESULTS/tensorboard",
    )  # fmt: skip


def form(p: argparse.ArgumentParser) -> None:
    """Say how tables are shown."""
    p.add_argument("--format", metavar="FORMAT", help="any of table,csv,md,json,tex")


def executor(p: argparse.ArgumentParser) -> None:
    """Say who makes the runs."""
    p.add_argument(
        "--executor", default="process", metavar="EXECUTOR",
        help="process (this one, the default), local (one for each run), or slurm (an array)",
    )  # fmt: skip
    p.add_argument(
        "--slurm", action="append", default=[], metavar="NAME=VALUE",
        help="partition, time, cpus, gpus, memory and others; may be given often",
    )  # fmt: skip
    p.add_argument(
        "--retries", type=int, metavar="N",
        help="how often a run may fail or be killed, and its time be up as often (default: 3)",
    )  # fmt: skip
    p.add_argument("--detach", action="store_true", help="hand over and do not wait")
    p.add_argument("--status", action="store_true", help="say where each run stands, and why")
    p.add_argument("--cancel", action="store_true", help="end the jobs of the suites")


def two(p: argparse.ArgumentParser, what: str) -> None:
    """Say which two results, and where they are."""
    p.add_argument("a", help=what)
    p.add_argument("b", help="another")
    root(p, "results")
