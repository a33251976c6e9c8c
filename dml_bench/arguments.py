"""How each command is called: its arguments, their help, an example."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dml_bench import __version__, options
from dml_bench.parsing import Parser

DESCRIPTION = "How good is an embedding at finding and grouping images of classes it never saw?"
PUBLISHED = Path("results/published")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = Parser("dml-bench", description=DESCRIPTION, example="dml-bench run quick")
    top.add_argument("--version", action="version", version=f"dml-bench {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (
        _add_fetch,
        _add_train,
        _add_evaluate,
        _add_run,
        _add_compare,
        _add_explain,
        _add_rerun,
        _add_report,
        _add_publish,
        _add_ledger,
        _add_audit,
        _add_export,
        _add_card,
        _add_list,
        _add_completion,
    ):
        add(commands)
    return top


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Parser]


def _command(commands: "Commands", name: str, about: str, example: str) -> Parser:
    return commands.add_parser(
        name, help=about, description=f"{about[0].upper()}{about[1:]}.", example=example
    )


def _add_fetch(commands: "Commands") -> None:
    p = _command(commands, "fetch", "bring a dataset to the data root", "dml-bench fetch cub200")
    p.add_argument("dataset", help="see dml-bench list datasets")
    p.add_argument(
        "--check", action="store_true",
        help="fetch nothing; verify digests, counts, and that every image decodes",
    )  # fmt: skip
    options.root(p, "data")
    p.set_defaults(command="fetch")


def _add_train(commands: "Commands") -> None:
    p = _command(
        commands, "train", "train one method on one dataset, embed and score",
        "dml-bench train --dataset glyphs --method invaspread --set epochs=2 --set form=paper",
    )  # fmt: skip
    p.add_argument("--dataset", required=True, help="see dml-bench list datasets")
    p.add_argument("--method", required=True, help="see dml-bench list methods")
    p.add_argument(
        "--no-resume", action="store_true", help="begin anew where a stopped run would go on"
    )
    options.logger(p)
    options.recipe(p)
    options.form(p)
    p.set_defaults(command="train")


def _add_evaluate(commands: "Commands") -> None:
    p = _command(
        commands, "evaluate", "score stored runs, a checkpoint, or anybody's embeddings",
        "dml-bench evaluate --dataset cub200 --k 1 2 4 8",
    )  # fmt: skip
    p.add_argument("--dataset", help="score every finished run of it, or --checkpoint on it")
    p.add_argument("--checkpoint", type=Path, help="a checkpoint.safetensors of a run")
    p.add_argument(
        "--embeddings", type=Path,
        help=".npz, .safetensors or .parquet; --data-root does not act on it",
    )  # fmt: skip
    p.add_argument(
        "--protocol", choices=("unseen", "seen"),
        help="of --embeddings: whose usual metrics (default: unseen; seen: knn, linear)",
    )  # fmt: skip
    p.add_argument(
        "--memory", metavar="SIZE",
        help="such as 4GB: what scoring may use, vectors in memory among it; changes no number",
    )  # fmt: skip
    p.add_argument(
        "--index", choices=("exact", "ivf"), default="exact",
        help="of --embeddings: ivf finds nearly the nearest in 50,000 images or more; it says how",
    )  # fmt: skip
    options.metrics(p, "the usual ones")
    options.recipe(p)
    options.form(p)
    p.set_defaults(command="evaluate")


def _add_run(commands: "Commands") -> None:
    p = _command(
        commands, "run", "make the runs of a suite that are missing, then print its tables",
        "dml-bench run quick",
    )  # fmt: skip
    p.add_argument("suite", nargs="*", help="names or TOML files; see dml-bench list suites")
    options.logger(p)
    options.recipe(p)
    options.executor(p)
    p.set_defaults(command="run")


def _add_compare(commands: "Commands") -> None:
    p = _command(
        commands, "compare", "say what differs between two embeddings of the same images, paired",
        "dml-bench compare glyphs-nce-conv4-s0 glyphs-simclr-conv4-s0 --flips",
    )  # fmt: skip
    options.two(p, "a run's key, its beginning or a pattern; or a file of embeddings")
    options.metrics(p, "those of the runs")
    p.add_argument(
        "--classes", type=int, default=5, metavar="N", help="gains and losses shown; default: 5"
    )
    p.add_argument("--flips", action="store_true", help="list each query that only one gets right")
    options.form(p)
    p.set_defaults(command="compare")


def _add_explain(commands: "Commands") -> None:
    p = _command(
        commands, "explain", "say in words what differs between two results",
        "dml-bench explain glyphs-nce-conv4-s0 glyphs-nce-conv4-s1",
    )  # fmt: skip
    options.two(
        p, "a result.json, or the key (its beginning, a pattern) of a run or a published record"
    )
    options.form(p)
    p.set_defaults(command="explain")


def _add_rerun(commands: "Commands") -> None:
    p = _command(
        commands, "rerun", "make a result again and say whether its numbers are the same",
        "dml-bench rerun glyphs-pixels-pixels-s0",
    )  # fmt: skip
    p.add_argument("result", help="a result.json, or the key of a run or a published record")
    p.add_argument("--into", type=Path, metavar="DIR", help="keep it there; default: nowhere")
    p.add_argument("--weights", type=Path, metavar="FILE", help="where the weights file is now")
    p.add_argument("--threads", type=int, metavar="N", help="default: as many as the run had")
    options.device(p)
    options.root(p, "data")
    options.root(p, "results")
    options.form(p)
    p.set_defaults(command="rerun")


def _add_report(commands: "Commands") -> None:
    p = _command(
        commands, "report", "write the tables, plots and page (report.html) of all stored runs",
        "dml-bench report --published",
    )  # fmt: skip
    p.add_argument(
        "--published", action="store_true", help="show the project's published records beside them"
    )
    p.add_argument(
        "--records", type=Path, metavar="DIR",
        help=f"where they are, and --published; default: {PUBLISHED}, here or in the checkout",
    )  # fmt: skip
    p.add_argument(
        "--published-table", type=Path, metavar="FILE.csv",
        help="what a paper printed, beside ours: columns label, dataset, metric, value (fractions)",
    )  # fmt: skip
    options.root(p, "data")
    options.root(p, "results")
    p.set_defaults(command="report_tables")


def _add_publish(commands: "Commands") -> None:
    p = _command(
        commands, "publish", "copy the records of finished runs to where they are committed",
        "dml-bench publish 'cub200-*'",
    )  # fmt: skip
    p.add_argument("runs", nargs="+", help="keys, or patterns of keys; see dml-bench list runs")
    options.root(p, "results")
    p.add_argument("--into", type=Path, default=PUBLISHED, help=f"default: {PUBLISHED}")
    p.add_argument(
        "--elsewhere", action="store_true",
        help="put the runs beside the published records of the same recipes, which another kind of"
        " processor made: the ledger says what that moves",
    )  # fmt: skip
    p.set_defaults(command="publish")


def _add_ledger(commands: "Commands") -> None:
    p = _command(
        commands, "ledger", "write what the published records decide: LEDGER.md, plots, page",
        "dml-bench ledger",
    )  # fmt: skip
    p.add_argument(
        "--records", type=Path, metavar="DIR",
        help=f"of published records; LEDGER.md, RUNS.md and LEDGER.html go beside it, plots/ into"
        f" it; default: {PUBLISHED}, here or in the checkout",
    )  # fmt: skip
    p.set_defaults(command="ledger")


def _add_audit(commands: "Commands") -> None:
    p = _command(
        commands, "audit", "say whether embeddings are comparable with published numbers",
        "dml-bench audit mine.npz",
    )  # fmt: skip
    p.add_argument("file", type=Path, help=".npz, .safetensors or .parquet, as for evaluate")
    p.add_argument(
        "--near", type=float, metavar="COSINE", default=0.999,
        help="above which two images are near-duplicates (default: 0.999)",
    )  # fmt: skip
    p.add_argument("--format", choices=("table", "json", "md"), default="table")
    p.set_defaults(command="audit")


def _add_export(commands: "Commands") -> None:
    p = _command(
        commands, "export", "write the vectors of a run to a file that other tools read",
        "dml-bench export glyphs-random-conv4-s0 --to vectors.npz",
    )  # fmt: skip
    p.add_argument("run", help="a run's key, its beginning or a pattern")
    p.add_argument(
        "--to", type=Path, required=True, metavar="FILE", help=".npz, .safetensors or .parquet"
    )
    options.root(p, "results")
    p.set_defaults(command="export")


def _add_card(commands: "Commands") -> None:
    p = _command(
        commands, "card", "write a run's model card, as the Hugging Face Hub reads it",
        "dml-bench card glyphs-random-conv4-s0 --to my_model",
    )  # fmt: skip
    p.add_argument("run", help="the key (its beginning, a pattern) of a run or a published record")
    p.add_argument("--to", type=Path, required=True, metavar="DIR", help="writes DIR/README.md")
    options.root(p, "results")
    p.set_defaults(command="card")


def _add_completion(commands: "Commands") -> None:
    p = _command(
        commands, "completion", "print what makes a shell complete these commands",
        'eval "$(dml-bench completion bash)"',
    )  # fmt: skip
    p.add_argument("shell", choices=("bash", "zsh", "fish"))
    p.set_defaults(command="completion")


def _add_list(commands: "Commands") -> None:
    p = _command(
        commands, "list", "say what there is, and what of it is here", "dml-bench list methods"
    )
    kinds = ("datasets", "methods", "backbones", "metrics", "suites", "runs")
    p.add_argument("kind", choices=kinds)
    options.root(p, "data")
    options.root(p, "results")
    p.add_argument(
        "--format", metavar="FORMAT",
        help="table, tsv or json; default: table for a person, tsv in a pipe",
    )  # fmt: skip
    p.set_defaults(command="list_parts")
