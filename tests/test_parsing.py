"""What the parser of the command line says of options that are not as they should be."""

import pytest

from dml_bench.arguments import parser

TRAIN = ["train", "--dataset", "glyphs", "--method", "random"]
FILE = ["evaluate", "--embeddings", "a.npz"]


def refused(words, capsys):
    """The line that a command line is refused with."""
    with pytest.raises(SystemExit) as left:
        parser().parse_args(words)
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*TRAIN, "--dataset", "cub200"], "--dataset: expected it said once, found it twice"),
        ([*TRAIN, "--seed=1", "--seed", "0"], "--seed: expected it said once, found it twice"),
        ([*FILE, "--embed", "b.npz"], "--embeddings: expected it said once, found it twice"),
        ([*TRAIN, "--results", "results", "--results", "b"], "--results: expected it said once"),
        (["--seed", "0", "--seed", "0"], "no option '--seed'"),
        (["audit", "a.npz", "--format", "md", "--format", "md"], "--format: expected it said once"),
    ],
)
def test_an_option_said_twice_is_refused(words, said, capsys):
    assert refused(words, capsys).startswith(f"error: {said}")


def test_an_option_of_several_values_said_twice_is_refused_with_how_to_say_it_once(capsys):
    line = refused([*FILE, "--k", "1", "--k", "2", "4"], capsys)
    assert "found it twice; leave one out, or write --k 1 2 4; see" in line


def test_what_may_be_given_often_may_and_a_default_is_not_said():
    words = [*TRAIN, "--set", "a=1", "--set", "b=2", "--results", "elsewhere", "--seed", "0"]
    assert parser().parse_args(words).settings == ["a=1", "b=2"]
    words = ["run", "quick", "--slurm", "cpus=1", "--slurm", "gpus=1"]
    assert parser().parse_args(words).slurm == ["cpus=1", "gpus=1"]


def test_a_parser_forgets_what_was_said_to_it_before():
    commands = parser()
    for seed in (1, 2):
        assert commands.parse_args([*TRAIN, "--seed", str(seed)]).seed == seed


def test_the_suites_of_a_run_may_stand_on_both_sides_of_its_options():
    assert parser().parse_args(["run", "--seed", "1", "quick", "crops"]).suite == ["quick", "crops"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--epochs", "3"], "no option '--epochs'; did you mean --set epochs=3?"),
        (["--epocs=3"], "no option '--epocs'; did you mean --set epochs=3?"),
        (["--weight-decay", "0"], "no option '--weight-decay'; did you mean --set weight_decay=0?"),
        (["--augmentation", "a b"], "did you mean --set 'augmentation=a b'?"),
        (["--epochs"], "did you mean --set epochs=...?"),
        (["--epochs", "--seed", "1"], "did you mean --set epochs=...?"),
        (["--resuts", "x"], "no option '--resuts'; did you mean --results?"),
        (["--method-digest", "x"], "no option '--method-digest'; did you mean --method?"),
    ],
)
def test_a_recipe_field_that_is_said_as_an_option_is_shown_as_a_setting(words, said, capsys):
    assert said in refused([*TRAIN, *words], capsys)


def test_where_nothing_is_set_no_setting_is_shown(capsys):
    assert "--set" not in refused(["audit", "a.npz", "--epochs", "3"], capsys)
