"""A parser of command lines whose help opens with an example, and whose errors are one line."""

import argparse
import re
import shlex
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from dml_bench.registry import unknown
from dml_bench.text import shown

PLAINER = (  # what argparse says, and how every other error of this program is said
    (r"^the following arguments are required: (.*)$", r"expected \1, found none"),
    (r"^argument (\S+): invalid int value: (.*)$", r"\1: expected a whole number, found \2"),
    (r"^argument (\S+): expected (.*)$", r"\1: expected \2, found fewer or more"),
    (r"^unrecognized arguments: (.*)$", r"expected nothing more, found \1"),
)


class Once(argparse.Action):
    """Store what an option says, and refuse to hear it again: the first would be lost."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Keep the value; a positional may be visited twice, an option may not."""
        heard: set[str] = getattr(parser, "heard", set())
        if self.option_strings and self.dest in heard:
            parser.error(self._twice([getattr(namespace, self.dest), values]))
        heard.add(self.dest)
        setattr(namespace, self.dest, values)

    def _twice(self, said: Sequence[Any]) -> str:
        name = self.option_strings[0]
        line = f"{name}: expected it said once, found it twice; leave one out"
        if self.nargs in ("+", "*"):
            line += f", or write {shlex.join([name, *(str(v) for vs in said for v in vs)])}"
        return line


class Parser(argparse.ArgumentParser):
    """A command's parser.

    Args:
        example: a whole command line; the first line of the help.
        nouns: what the choices of an argument are called, by its destination.

    Example:
        >>> p = Parser("try", example="try --depth 3", nouns={"kind": "kind"})
        >>> p.format_help().splitlines()[0]
        'example: try --depth 3'
    """

    def __init__(
        self, *words: Any, example: str = "", nouns: dict[str, str] | None = None, **options: Any
    ) -> None:
        super().__init__(*words, **options)
        self.example = example
        self.nouns = nouns or {}
        self.heard: set[str] = set()
        self.register("action", None, Once)
        self.register("action", "store", Once)

    def format_help(self) -> str:
        """Return the help, the example first."""
        return f"example: {self.example}\n\n{super().format_help()}"

    def error(self, message: str) -> NoReturn:
        """Say on one line what is wrong, and end with status 2."""
        line = shown(message)
        for theirs, ours in PLAINER:
            line = re.sub(theirs, ours, line)
        self.exit(2, f"error: {line}; see {self.prog} --help\n")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse what is known; an option that is not is refused with the nearest that is."""
        words = list(sys.argv[1:] if args is None else args)
        self.heard = set()
        for word, after in self._own(words):
            option, _, value = word.partition("=")
            self._refuse_unknown(option, value or after)
        return super().parse_known_args(words, namespace)

    def _own(self, words: list[str]) -> list[tuple[str, str]]:
        """Return the options among the words, each with the word after it.

        Up to a command: what follows is for its parser.
        """
        until = words.index("--") if "--" in words else len(words)
        if self._subparsers:
            commands = (at for at, word in enumerate(words) if not word.startswith("-"))
            until = min(until, next(commands, until))
        pairs = zip(words[:until], [*words[1:], ""], strict=False)
        return [(word, after) for word, after in pairs if word.startswith("--")]

    def _refuse_unknown(self, option: str, value: str) -> None:
        known = [name for name in self._option_string_actions if name.startswith("--")]
        if not any(name.startswith(option) for name in known):
            fields = _fields() if "--set" in known else {}
            near = get_close_matches(option.replace("_", "-"), [*known, *fields], n=1)
            meant = [name if name in known else _setting(fields[name], value) for name in near]
            hint = f"did you mean {meant[0]}?" if meant else f"there is {', '.join(known)}"
            self.error(f"no option '{option}'; {hint}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is no choice, with the nearest that is."""
        if action.choices is not None and value not in action.choices:
            noun = self.nouns.get(action.dest) or str(action.metavar or action.dest).lower()
            self.error(str(unknown(noun, str(value), map(str, action.choices))))


def _fields() -> dict[str, str]:
    """Return the recipe fields that `--set` takes, by what they would be called as options."""
    from dml_bench.fields import settable

    return {f"--{name.replace('_', '-')}": name for name in settable()}


def _setting(field: str, value: str) -> str:
    """Return the words that set a field."""
    if not value or value.startswith("--"):
        return f"--set {field}=..."
    return f"--set {shlex.quote(f'{field}={value}')}"
