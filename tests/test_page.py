"""The page: whole in one file, true to the results, the same every time, whatever names say."""

import base64
import hashlib
import html
import io
import json
import re
import shlex
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from exhibition import HOSTILE, SOURCE, write_place
from PIL import Image

from dml_bench import data
from dml_bench.again import again
from dml_bench.arguments import parser
from dml_bench.cli import main
from dml_bench.fields import parse
from dml_bench.pages import page
from dml_bench.pages.sections import sections
from dml_bench.pages.thumbnails import COLUMNS, SIDE, find, sheet
from dml_bench.published import Published
from dml_bench.recipes import resolve
from dml_bench.results import finished_runs
from dml_bench.terminal import said


class Reader(HTMLParser):
    """What a browser would see: tags with their attributes, ids, and the text of table cells."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.rows, self.inside = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if {"td", "th"} & set(self.inside):
            self.rows[-1][-1] += data

    def all(self, tag, **attrs):
        return [
            a for t, a in self.tags if t == tag and all(a.get(k) == v for k, v in attrs.items())
        ]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    write_place(root)
    return root


def written(place, results=None, **options):
    results = results or place / "results"
    options = {"data_root": place / "data", **options}
    return page.write(finished_runs(results), results, **options)[-1].read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text(place):
    return written(place)


@pytest.fixture(scope="module")
def read(text):
    return Reader(text)


def test_the_table_shows_what_the_results_say(read, place):
    header = read.rows[0]
    rows = [dict(zip(header, row, strict=True)) for row in read.rows[1:]]
    assert {row["method"] for row in rows} >= {"random", "invaspread (temperature=0.2)"}
    results = [
        r for r in finished_runs(place / "results") if r.recipe.options.get("temperature") == 0.2
    ]
    (row,) = [row for row in rows if row["method"] == "invaspread (temperature=0.2)"]
    assert row["recall@1"].startswith(f"{100 * results[0].metrics['recall@1']:.1f}")
    assert row["recall@1 (published)"] == "50.0"
    assert row["recall@1 (difference)"] == f"{100 * results[0].metrics['recall@1'] - 50:+.1f}"
    assert row["source"] == SOURCE
    for name in ("supervision", "backbone", "dim", "crop", "epochs", "seeds"):
        assert row[name]


def test_seeds_stand_in_one_line_with_their_interval(read):
    header = read.rows[0]
    (row,) = [row for row in read.rows[1:] if "temperature=0.1" in row[header.index("method")]]
    assert row[header.index("seeds")] == "2"
    assert " ± " in row[header.index("recall@1")]


def test_cells_carry_the_number_that_they_are_sorted_by(read, place):
    values = {round(r.metrics["recall@1"], 6) for r in finished_runs(place / "results")}
    shown = {float(a["data-v"]) for a in read.all("td") if "data-v" in a}
    assert len(values & shown) == 3  # the three recipes of one seed


def test_nothing_in_the_page_names_a_place_to_fetch_from(read, text):
    for _, attrs in read.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset", "xlink:href"):
            if name in attrs:
                assert attrs[name].startswith(("#", "data:")), attrs
    assert not re.search(r"@import|url\((?![\"']?(data:|#))", text)


def test_hostile_names_stay_text(read, text):
    assert HOSTILE not in text
    scripts = read.all("script")
    assert [a.get("type") for a in scripts] == ["application/json", None]
    assert read.all("img") == []
    assert not any(name.startswith("on") for _, attrs in read.tags for name in attrs)
    assert any(HOSTILE in (attrs.get("aria-label") or "") for _, attrs in read.tags)


def test_the_policy_allows_our_script_and_no_other(text):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    script = text[text.rindex("<script>") + 8 : text.rindex("</script>")]
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{own}'" in policy
    assert "default-src 'none'" in policy


def test_the_same_results_give_the_same_bytes(place, text, tmp_path):
    shutil.copytree(place / "results", tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "elsewhere" / "plots")
    assert written(place, tmp_path / "elsewhere") == text
    plots = {path.name: path.read_bytes() for path in (place / "results" / "plots").iterdir()}
    again = {path.name: path.read_bytes() for path in (tmp_path / "elsewhere" / "plots").iterdir()}
    assert again == plots


def test_ids_are_unique_and_what_is_pointed_at_is_there(read):
    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    referred = {a["href"][1:] for _, a in read.tags if (a.get("href") or "").startswith("#")}
    doubled = {name for name in ids if ids.count(name) > 1}
    assert doubled == set()
    assert referred <= set(ids)


def test_figures_say_in_words_what_they_show(read):
    plots = [a for a in read.all("svg") if "plot" in (a.get("class") or "")]
    assert len(plots) >= 8
    assert all(a["role"] == "img" and len(a["aria-label"]) > 30 for a in plots)
    labels = " ".join(a["aria-label"] for a in plots)
    for words in ("by epoch", "temperature 0.5", "against seconds of training", "each class"):
        assert words in labels


def test_tiles_say_right_and_wrong_in_words(read):
    tiles = [a["aria-label"] for a in read.all("span", role="img")]
    assert any(label.startswith("right: ") for label in tiles)
    assert any(label.startswith("wrong: ") for label in tiles)


def test_the_map_has_a_point_an_image_and_knows_each(read, text):
    atlas = json.loads(re.search(r'class="atlas">(.*?)</script>', text, re.DOTALL)[1])
    maps = read.all("svg", role="application")
    points = [a for a in read.all("use") if "data-i" in a]
    assert len(points) == len(maps) * 48
    assert {int(a["data-i"]) for a in points} == set(range(len(atlas)))
    assert {name for _, _, name, _ in atlas} == {HOSTILE, *(f"bar {n}" for n in range(3, 8))}


def test_without_the_images_the_page_says_what_is_missing(place, tmp_path):
    shutil.copytree(place / "results", tmp_path / "results")
    text = written(place, tmp_path / "results", data_root=tmp_path / "nowhere")
    assert "The images of bars are not in this machine" in text
    assert "data:image" not in text
    assert "class 3" in text  # numbers stand for names
    assert str(tmp_path) not in text


def test_other_images_of_the_same_name_are_not_shown(place):
    assert "is asked in another way" in find("bars", place / "data", "another")


def test_published_records_have_tables_and_no_closeup(place, tmp_path):
    records = finished_runs(place / "results")
    path = page.write([], tmp_path, records, data_root=place / "data")[-1]
    text = path.read_text()
    assert "published run" in text
    assert "No run of this table has its vectors on this machine" in text
    assert 'class="closeup"' not in text


def test_a_run_without_its_vectors_keeps_its_line(place, tmp_path):
    shutil.copytree(place / "results", tmp_path / "results")
    for path in (tmp_path / "results").glob("runs/*random*/embeddings.npz"):
        path.unlink()
    read = Reader(written(place, tmp_path / "results"))
    assert any("random" in row for row in read.rows)
    assert not any("random" in (a.get("aria-label") or "") for a in read.all("article"))


def test_a_run_can_be_made_again_from_what_the_page_says(read, text, place):
    dataset = data.load("bars", place / "data")
    for result in finished_runs(place / "results"):
        line = again(result.recipe)
        args = parser().parse_args(shlex.split(line)[1:])
        wanted = said(args, {"dataset": args.dataset, "method": args.method})
        assert resolve(wanted, dataset).key == result.recipe.key
        assert result.recipe.key in text
    for part in ("c0ffee", "2025-01-02", "torch 2.0", "ABC", "dml-bench run mine"):
        assert part in text


def test_a_command_of_the_page_is_the_command_to_the_letter(text, place):
    shown = {html.unescape(re.sub("<[^>]+>", "", code))
             for code in re.findall(r"<pre[^>]*><code>(.*?)</code>", text, re.DOTALL)}  # fmt: skip
    assert {again(result.recipe) for result in finished_runs(place / "results")} < shown


def test_a_table_that_a_user_brings_stands_in_the_page(place, tmp_path):
    about = ("unsupervised", "ResNet18", 128, "bars", "recall@1", 0.712)
    printed = [Published("theirs", "Somebody et al.", "", "TheirNet", *about)]
    shutil.copytree(place / "results", tmp_path / "results")
    read = Reader(written(place, tmp_path / "results", printed=printed))
    (row,) = [row for row in read.rows if "TheirNet" in row]
    assert row[read.rows[0].index("recall@1 (published)")] == "71.2"


def test_what_is_the_same_in_every_row_is_said_below(place):
    results = finished_runs(place / "results")
    (section,) = sections(results, place / "results", [], data_root=place / "data")
    folded = {column.name for column in section.table.columns if column.folded}
    assert {"origin", "backbone", "dim", "crop"} <= folded
    assert not {"supervision", "epochs", "seeds", "recall@1"} & folded
    assert "All: origin here, backbone conv4, weights none, dim 8, crop 16" in section.table.note


def test_a_single_run_that_was_recorded_without_an_interval_is_spoken_of(place):
    def note(results):
        (section,) = sections([], place, results, data_root=place / "data")
        return section.table.note

    (alone,) = [r for r in finished_runs(place / "results") if r.recipe.method == "random"]
    assert "recorded without it" in note([alone])
    assert "recorded without it" not in note([replace(alone, intervals={"recall@1": [0.1, 0.2]})])
    seeds = [
        r for r in finished_runs(place / "results") if r.recipe.options.get("temperature") == 0.1
    ]
    assert len(seeds) == 2
    assert "recorded without it" not in note(seeds)


def test_what_was_not_trained_stands_among_the_large_numbers(place):
    results = finished_runs(place / "results")
    (section,) = sections(results, place / "results", [], data_root=place / "data")
    (random,) = [r for r in results if r.recipe.method == "random"]
    said = (
        f"{100 * random.metrics['recall@1']:.1f} %",
        "best recall@1 of what was not trained: random",
    )
    assert said in section.facts


def test_nothing_in_the_page_moves_by_itself(text):
    assert not re.search(r"\b(transition|animation|scroll-behavior)\b|@keyframes|<marquee", text)


def test_text_that_would_read_as_a_number_is_quoted_for_the_way_back(place):
    (recipe, *_) = [result.recipe for result in finished_runs(place / "results")]
    recipe = type(recipe).from_dict(
        recipe.as_dict() | {"schedule": "1", "options": {"form": "true"}}
    )
    words = shlex.split(again(recipe))
    told = parse([word for word in words if "=" in word])
    assert told["schedule"] == "1"
    assert told["options"] == {"form": "true"}


def test_a_sheet_holds_each_image_once_and_in_its_place(place):
    dataset = data.load("bars", place / "data")
    ids = [*dataset.query.ids, *dataset.query.ids[:7], "unknown"]
    found = sheet(dataset, ids)
    assert sorted(found.places) == sorted(dataset.query.ids)
    whole = Image.open(io.BytesIO(base64.b64decode(found.uri.partition(",")[2]))).convert("RGB")
    assert whole.size == (found.columns * found.side, found.rows * found.side)
    assert found.side == 20 <= SIDE
    assert found.columns <= COLUMNS
    for row in (0, 17, 47):
        at = found.places[dataset.query.ids[row]]
        x, y = at % found.columns * 20, at // found.columns * 20
        tile = np.asarray(whole.crop((x, y, x + 20, y + 20)), float)
        truth = np.asarray(dataset.query.images[row], float)
        assert np.abs(tile - truth).mean() < 12  # WebP loses a little


def test_the_command_writes_tables_plots_and_the_page(place, tmp_path, capsys):
    shutil.copytree(place / "results", tmp_path / "results")
    words = ["report", "--results", tmp_path / "results", "--data-root", place / "data"]
    assert main([str(word) for word in words]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == str(tmp_path / "results" / "report.html")
    assert any(line.endswith(".png") for line in said)
    assert any(line.endswith("bars.csv") for line in said)
