"""What a shell asks as somebody types: which words may come next, of what is on this machine."""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def completion(args: argparse.Namespace) -> int:
    """Print a shell's code."""
    print(code(args.shell))
    return 0


def code(shell: str) -> str:
    """Return what a shell evaluates to complete the commands.

    Args:
        shell: "bash", "zsh" or "fish".

    Example:
        >>> "dml-bench" in code("bash")
        True
    """
    from argcomplete.shell_integration import shellcode

    return shellcode(["dml-bench"], shell=shell)


def answer(parser: argparse.ArgumentParser) -> None:
    """Print the words that may come next, and end; does nothing unless a shell asks."""
    import argcomplete

    for command in _commands(parser):
        for action in command._actions:
            if action.dest in WORDS:
                action.completer = _words(WORDS[action.dest])  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)


def _commands(parser: argparse.ArgumentParser) -> Iterable[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def _words(find: Callable[[argparse.Namespace], Iterable[str]]) -> Callable[..., list[str]]:
    def completer(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        return list(find(parsed_args))

    return completer


def _datasets(args: argparse.Namespace) -> list[str]:
    from dml_bench.data import DATASETS, folders

    return [*DATASETS, *folders(getattr(args, "data_root", Path("datasets")))]


def _methods(_args: argparse.Namespace) -> list[str]:
    from dml_bench.methods import METHODS

    return list(METHODS)


def _suites(_args: argparse.Namespace) -> list[str]:
    from dml_bench import suites

    return [*suites.names(), *(path.name for path in Path.cwd().glob("*.toml"))]


def _metrics(_args: argparse.Namespace) -> list[str]:
    from dml_bench.metric_table import METRICS

    return [name.replace("@k", "@1") for name in METRICS]


def _runs(args: argparse.Namespace) -> list[str]:
    runs = getattr(args, "results", Path("results")) / "runs"
    return sorted(path.parent.name for path in runs.glob("*/result.json"))


def _settings(_args: argparse.Namespace) -> list[str]:
    from dataclasses import fields

    from dml_bench.fields import FOLLOWS
    from dml_bench.types import Recipe

    return [f"{f.name}=" for f in fields(Recipe) if f.name not in (*FOLLOWS, "options")]


def _formats(_args: argparse.Namespace) -> list[str]:
    return ["table", "csv", "md", "json", "tex"]


def _allocation(_args: argparse.Namespace) -> list[str]:
    from dml_bench.jobs.allocation import SETTINGS

    return [f"{name}=" for name in SETTINGS]


WORDS: dict[str, Callable[[argparse.Namespace], Iterable[str]]] = {
    "dataset": _datasets,
    "method": _methods,
    "suite": _suites,
    "metrics": _metrics,
    "run": _runs,
    "runs": _runs,
    "a": _runs,
    "b": _runs,
    "result": _runs,
    "settings": _settings,
    "logger": lambda _args: ["none", "tensorboard"],
    "executor": lambda _args: ["process", "local", "slurm"],
    "slurm": _allocation,
    "device": lambda _args: ["auto", "cpu", "cuda"],
    "format": _formats,
}
"""By an argument's destination: what it may be."""
