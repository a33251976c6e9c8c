"""The ledger's Markdown -> HTML that a page may hold: escaped, and no link leads away from it."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

FOLDER = "records"
"""Where records lie, in links that become links to where the page shows them."""
RECORD = re.compile(rf"{FOLDER}/([^/]+)/result\.json")
RULES = ["backticks", "emphasis", "entity", "escape", "heading", "link", "list", "table"]
QUESTION = "ledger-"
"""What stands before the anchor of a question, on the page."""
DEEPER = 2
"""Levels by which a heading of the ledger stands lower on the page."""


def blocks(lines: Sequence[str], title: str) -> Markup:
    """Return lines of the ledger for the page: paragraphs, lists, tables in boxes that scroll.

    Args:
        lines: of Markdown.
        title: of the section that they stand in.

    Example:
        >>> lines = ["- **holds** [s0](records/glyphs-x/result.json) & [more](//a.example)"]
        >>> print(blocks(lines, "Speed"), end="")
        <ul>
        <li><strong>holds</strong> <a href="#run-glyphs-x">s0</a> &amp; more</li>
        </ul>
    """
    return _rendered(_parser().parse("\n".join(lines)), title)


class _Renderer(RendererHTML):
    """HTML with the page's own classes; markdown-it asks a method for each kind of token."""

    def table_open(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        number = sum(token.type == "table_open" for token in tokens[: at + 1])
        box = 'class="scroll" tabindex="0" role="region"'
        return f'<div {box} aria-label="{escape(env["title"])}: table {number}">\n<table>\n'

    def table_close(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        return "</table>\n</div>\n"


@cache
def _parser() -> MarkdownIt:
    """Return a parser that knows what the ledger writes; anything else, HTML too, stays text."""
    return MarkdownIt("zero", renderer_cls=_Renderer).enable(RULES)


def _rendered(tokens: Sequence[Token], title: str) -> Markup:
    for token in tokens:
        if token.children:
            token.children = list(_at_home(token.children))
        if token.type in ("th_open", "td_open"):
            token.attrs = _cell(token)
        if token.type.startswith("heading_"):
            token.tag = f"h{min(6, int(token.tag[1]) + DEEPER)}"
    made = _parser()
    return Markup(made.renderer.render(tokens, made.options, {"title": title}))  # noqa: S704 - escaped


def _at_home(words: Sequence[Token]) -> Iterator[Token]:
    """Lead links to records and questions to where the page shows them; else keep the words."""
    home = ""
    for token in words:
        if token.type == "link_open":
            home = _home(unquote(str(token.attrGet("href"))))
            token.attrs = {"href": home}
        if home or not token.type.startswith("link_"):
            yield token


def _home(link: str) -> str:
    """Return where on the page a link leads: to a run, to a question; empty for any other."""
    if record := RECORD.fullmatch(link):
        return f"#run-{record[1]}"
    return f"#{QUESTION}{link[1:]}" if link.startswith("#") else ""


def _cell(token: Token) -> dict[str, str | int | float]:
    kind = "number" if "right" in str(token.attrGet("style")) else "text"
    return {"class": kind, **({"scope": "col"} if token.tag == "th" else {})}
