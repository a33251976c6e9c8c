"""The ledger's Markdown on the page: all of it is there, and nothing of it is more than text."""

import re

import pytest

from dml_bench.pages.prose import blocks

TABLE = [
    "| recipe | start | runs |",
    "| :-- | --: | :-- |",
    "| moco | 23.2 | [s0](records/a-b/result.json) |",
]


def test_paragraphs_and_lists_and_what_is_bold_are_kept():
    lines = ["**A helps**: yes. Printed: 83.6.", "", "- one **holds**", "- two", "", "By `x`."]
    assert blocks(lines, "Speed").splitlines() == [
        "<p><strong>A helps</strong>: yes. Printed: 83.6.</p>",
        "<ul>",
        "<li>one <strong>holds</strong></li>",
        "<li>two</li>",
        "</ul>",
        "<p>By <code>x</code>.</p>",
    ]


def test_a_table_has_heads_of_columns_and_a_box_that_scrolls():
    found = blocks([*TABLE, "", *TABLE], "Speed & <more>")
    assert found.startswith('<div class="scroll" tabindex="0" role="region" aria-label="Speed')
    assert re.findall(r'aria-label="([^"]*)"', found) == [
        "Speed &amp; &lt;more&gt;: table 1",
        "Speed &amp; &lt;more&gt;: table 2",
    ]
    assert '<th class="text" scope="col">recipe</th>' in found
    assert '<th class="number" scope="col">start</th>' in found
    assert '<td class="number">23.2</td>' in found
    assert "style" not in found
    assert found.count("<div") == found.count("</div>") == found.count("</table>") == 2


def test_a_link_to_a_record_leads_to_where_the_page_shows_it():
    found = blocks(TABLE, "Speed")
    assert re.findall(r"<a [^>]*>", found) == ['<a href="#run-a-b">']
    assert 'href="#run-möwen-s0-ab"' in blocks(["[s0](records/möwen-s0-ab/result.json)"], "Speed")


def test_a_link_to_a_question_leads_to_it_on_the_page():
    assert blocks(["[x](#speed)"], "Speed") == '<p><a href="#ledger-speed">x</a></p>\n'


@pytest.mark.parametrize(
    "text",
    [
        "[x](https://a.example)",
        "[x](//a.example/records/a/result.json)",
        "[x](../records/a/result.json)",
        "[x](records/a/b/result.json)",
        "[x](javascript:alert(1))",
        "![x](https://a.example/x.png)",
        "![x](data:image/png;base64,AAAA)",
        "<https://a.example>",
        "https://a.example",
        "[x]\n\n[x]: https://a.example",
        '<a href="https://a.example">x</a>',
        "<script>alert(1)</script>",
        '<img src=x onerror="alert(2)">',
    ],
)
def test_nothing_else_is_a_link_or_a_tag(text):
    made = blocks(text.split("\n"), "Speed")
    assert set(re.findall(r"<[^>]*>", made)) <= {"<p>", "</p>"}
    assert re.search(r"x|alert|example", made)


def test_a_heading_stands_below_the_sections():
    assert blocks(["### The budget"], "Speed") == "<h5>The budget</h5>\n"
