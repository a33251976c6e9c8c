"""The benchmarks run, and what is kept of them is what the page says."""

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import cases, profile, tables
from benchmarks.pairs import ratios

RESULTS = Path(command.__file__).parent / "results"


def run(seconds, units=10, peak=2**30):
    return {"units": units, "seconds": seconds, "peak_bytes": peak}


def record(**more):
    return {
        "title": "some work",
        "unit": "images",
        "peer": "somebody",
        "target": 2.5,
        "room": 0.0,
        "runs": {"ours": [run(1.0), run(2.0)], "peer": [run(3.0), run(8.0)]},
        "environment": {
            "processor": "a processor",
            "bf16_flags": [],
            "cores": 2,
            "device": "cpu",
            "packages": dict.fromkeys(tables.PACKAGES, "1.0"),
            "commit": "abcdef0123",
            "dirty": False,
        },
        "finished": "2030-01-02T03:04:05+00:00",
    } | more


def test_a_ratio_is_the_peer_s_seconds_a_unit_over_ours_pair_by_pair():
    assert ratios(record()) == pytest.approx([3.0, 4.0])
    twice = record(runs={"ours": [run(1.0, units=20)], "peer": [run(3.0)]})
    assert ratios(twice) == pytest.approx([6.0])


def test_the_page_gives_the_median_ratio_with_its_spread_and_the_memory():
    row = tables.page([record()]).splitlines()[2]
    assert "**3.50** (3.00 to 4.00)" in row
    assert "1.00 of 1.00 GiB" in row


def test_of_a_program_that_is_started_no_memory_is_said():
    started = {side: [run(1.0, peak=0), run(1.0, peak=0)] for side in ("ours", "peer")}
    assert tables.page([record(runs=started)]).splitlines()[2].endswith("| - | - |")


def test_the_page_says_with_what_it_was_made():
    said = tables.page([record()])
    assert "a processor (no bf16), 2 cores, device cpu" in said
    assert "commit abcdef0; 2 pairs a case; 2030-01-02" in said
    dirty = record(environment=record()["environment"] | {"dirty": True})
    assert "commit abcdef0 with changes" in tables.page([dirty])


@pytest.mark.parametrize("folder", [path for path in RESULTS.glob("*") if path.is_dir()], ids=str)
def test_the_kept_page_is_that_of_the_kept_records(folder):
    kept = tables.records(folder, cases.cases())
    assert (folder / "README.md").read_text(encoding="utf-8") == tables.page(kept)
    for record in kept:
        assert not record["environment"]["dirty"], record["title"]
        assert len(record["runs"]["ours"]) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("name", cases.cases())
def test_a_case_runs_both_ways(name, tmp_path, capsys):
    """But for the compiled step: a minute of compiling, for nothing of ours."""
    if name == "step-eager":
        pytest.skip("the peer compiles for a minute")
    words = [name, "--small", "--pairs", "1", "--into", str(tmp_path)]
    assert command.main(words) == 0
    kept = json.loads((tmp_path / "cpu" / f"{name}.json").read_text())
    assert min(ratios(kept)) > 0
    assert cases.cases()[name].title in capsys.readouterr().out


@pytest.mark.slow
def test_a_profile_names_what_takes_the_time(tmp_path, capsys):
    assert profile.main(["--small", "--into", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "aten::convolution_backward" in said
    assert "knn_inner_product" in said
