"""The benchmarks run, and what is kept of them is what the page says."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import cases, profile, tables, training, trees
from benchmarks.pairs import ratios, summary

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
        "within": 0.0,
        "memory": "tree",
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


OTHER = {"environment": record()["environment"]}
OTHER["environment"] |= {"processor": "another", "bf16_flags": ["avx512_bf16"]}


def test_a_ratio_is_the_peer_s_seconds_a_unit_over_ours_pair_by_pair():
    assert ratios(record()) == pytest.approx([3.0, 4.0])
    twice = record(runs={"ours": [run(1.0, units=20)], "peer": [run(3.0)]})
    assert ratios(twice) == pytest.approx([6.0])


def test_the_page_gives_the_median_ratio_with_its_spread_and_the_memory():
    row = tables.page([record()]).splitlines()[4]
    assert "**3.50** (3.00 to 4.00)" in row
    assert "1.00 of 1.00 GiB" in row


@pytest.mark.parametrize("how", [{"memory": ""}, {"memory": None}])
def test_memory_that_was_not_looked_at_is_not_said(how):
    """A record without the word is from when descendants were not counted."""
    kept = record(**how)
    kept = {name: said for name, said in kept.items() if said is not None}
    assert " | - | - | abcdef0 |" in tables.page([kept])
    assert summary(kept)["peak_bytes"] == {}


def test_seconds_that_ours_should_stay_within_stand_beside_the_target():
    assert "| 2.5; 0.1 s |" in tables.page([record(within=0.1)])


def test_the_page_says_with_what_it_was_made_and_parts_machines():
    said = tables.page([record(), record(title="more"), record(title="elsewhere", **OTHER)])
    assert said.count("a processor (no bf16), 2 cores, device cpu") == 1
    here, there = said.split("another (avx512_bf16), 2 cores")
    assert "more" in here
    assert "elsewhere" in there
    assert "| abcdef0 | 2030-01-02, 2 pairs |" in here
    dirty = record(environment=record()["environment"] | {"dirty": True})
    assert "abcdef0 with changes" in tables.page([dirty])


def test_a_program_reads_the_same_rows():
    [row] = tables.summaries({"some": record()})
    assert row["name"] == "some"
    assert row["ratio"] == pytest.approx({"least": 3.0, "median": 3.5, "most": 4.0})
    assert row["ours"] == pytest.approx(7.5)  # the median of 10 and 5 images a second
    assert row["peak_bytes"] == {"ours": 2**30, "peer": 2**30}


@pytest.mark.parametrize("folder", [path for path in RESULTS.glob("*") if path.is_dir()], ids=str)
def test_the_kept_page_is_that_of_the_kept_records(folder):
    kept = tables.records(folder, cases.cases())
    assert (folder / "README.md").read_text(encoding="utf-8") == tables.page(kept.values())
    assert json.loads((folder / "table.json").read_text()) == tables.summaries(kept)
    for name, record in kept.items():
        assert not record["environment"]["dirty"], name
        assert len(record["runs"]["ours"]) >= 5
        if within := record.get("within"):
            assert max(run["seconds"] for run in record["runs"]["ours"]) <= within, name


def test_every_case_was_measured_on_a_processor_but_those_for_an_accelerator():
    kept = tables.records(RESULTS / "cpu", cases.cases())
    assert set(cases.cases()) - set(kept) == {"train-googlenet-bare"}


def test_a_question_that_is_none_here_is_left_out_and_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(training, "fast_at_bf16", lambda device: False)
    assert command.main(["step-bf16", "--small", "--into", str(tmp_path)]) == 0
    assert "step-bf16: left out, bfloat16 does not pay" in capsys.readouterr().err
    assert not (tmp_path / "cpu" / "step-bf16.json").exists()


GROWN = """
import subprocess, sys, time
held = bytearray(b"x" * (64 << 20))
if sys.argv[1:]:
    children = [subprocess.Popen([sys.executable, __file__]) for _ in range(2)]
    [child.wait() for child in children]
else:
    time.sleep(2)
"""


def test_the_memory_of_what_a_program_starts_counts(tmp_path):
    """Three processes of 64 MB each, two of them awaited by the first."""
    script = tmp_path / "grown.py"
    script.write_text(GROWN)
    alone, three = (trees.run([sys.executable, str(script), *more]) for more in ([], ["more"]))
    assert 64 << 20 < alone.peak_bytes < 128 << 20
    assert 3 * 64 << 20 < three.peak_bytes < 3 * 128 << 20


def test_a_program_that_fails_says_so():
    ended = trees.run([sys.executable, "-c", "import sys; print('said'); sys.exit('why')"])
    assert (ended.code, ended.out, ended.err) == (1, "said\n", "why\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", cases.cases())
def test_a_case_runs_both_ways(name, tmp_path, capsys):
    """But for the compiled step: a minute of compiling, for nothing of ours."""
    if name == "step-eager":
        pytest.skip("the peer compiles for a minute")
    if why := cases.cases()[name].unable("cpu"):
        pytest.skip(why)
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
