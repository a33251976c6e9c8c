"""The package is built in floors: imports point down, and third parties have homes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import dml_bench

FLOORS = [
    {"errors", "text"},
    {"plugins", "meeting"},
    {"dist"},
    {"exchange"},
    {
        "types",
        "registry",
        "atomic",
        "recycling",
        "devices",
        "environment",
        "endings",
        "foundation",
        "progress",
        "signals",
        "muon",
        "jobs/slurm",
        "jobs/processes",
        "weights",
    },
    {
        "products",
        "codes",
        "memory",
        "mapping",
        "statistics",
        "spread",
        "ledger/claims",
        "jobs/standing",
        "comparisons/explanation",
        "options",
        "published",
    },
    {"levels", "exhaustive", "halves", "settling", "selection", "ledger/settings"},
    {"search", "precision", "ledger/questions"},
    {
        "neighbours",
        "centres",
        "agreement",
        "locks",
        "jobs/allocation",
        "jobs/notes",
        "results",
        "suites",
        "draws",
        "colour",
        "zoos",
        "rows",
        "fields",
        "optimisation",
        "norms",
    },
    {
        *(
            "store",
            "clusters",
            "firsts",
            "approximate",
            "sharded",
            "probes",
            "crops",
            "losses",
            "backbones",
            "readers",
        ),
        *("comparisons/locate", "ledger/released", "parsing"),
    },
    {"augment", "preprocessing", "files", "network"},
    {"answers", "geometry", "models", "presence"},
    {"metrics", "ties"},
    {"metric_table"},
    {"answering", "data"},
    {"scoring"},
    {"methods", "findings", "embed", "checkpoint", "teacher", "packs", "comparisons/sides"},
    {"look", "assembly", "defaults", "ledger/budgets"},
    {
        *("engine", "provenance", "comparisons/comparison", "loggers", "contradictions"),
        *("ledger/naming", "ledger/verdicts"),
    },
    {"recipes", "ledger/reckonings", "ledger/section"},
    {"entries"},
    {
        "typeset",
        "pages/figures",
        "pages/prose",
        "outcomes",
        "pages/charts",
        "pages/gallery",
        "pages/projection",
        "pages/thumbnails",
        "again",
        *("ledger/starts", "ledger/orders", "ledger/legend"),
    },
    {"cells", "pages/exhibits", "overview", "pages/plots", "audit", "parts", "ledger/own"},
    {"pages/costs"},
    {"bench", "report", "pages/closeups", "ledger/sentences"},
    {
        "records",
        "runner",
        "terminal",
        "checkpoint_scores",
        "pages/sortable",
        *("ledger/budgeted", "ledger/summary"),
    },
    {"pages/sections", "ledger/elsewhere", "ledger/helps", "ledger/printed"},
    {"ledger/answers", "ledger/missing"},
    {"file_scores", "ledger/account"},
    {
        "pages/page",
        "evaluations",
        "comparisons/compare",
        "comparisons/explain",
        "listing",
        "export",
        "card",
        "readme",
    },
    {"comparisons/rerun", "completion"},
    {"jobs/job"},
    {"jobs/executors"},
    {"jobs/handover"},
    {"actions"},
    {"jobs/running"},
    {"arguments"},
    {"cli"},
    {"evaluate", "train", "__main__"},
]
HOMES = {
    "faiss": {"products"},
    "torch.distributed": {"dist", "exchange"},
    "torch.utils.tensorboard": {"loggers"},
    "matplotlib": {"pages/figures", "pages/plots", "pages/costs", "data/glyphs"},
    "argcomplete": {"completion"},
    "jinja2": {"pages/page"},
    "markdown_it": {"pages/prose"},
    "pandas": {"report"},
    "pyarrow": {"readers", "export"},
    "pytorch_metric_learning": {"methods"},
    "submitit": {"jobs/executors", "jobs/job"},
}
PACKAGE = Path(dml_bench.__file__).parent
FLOOR = {part: number for number, parts in enumerate(FLOORS) for part in parts}
SOURCES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imports(text: str) -> Iterator[str]:
    """Every dotted name that a source imports, inside functions too, or reaches through `torch`."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                yield from (f"{'.' * level}{module or ''}.{alias.name}" for alias in names)
            case ast.Attribute(value=ast.Name(id="torch"), attr=attribute):
                yield f"torch.{attribute}"


def part(*names: str) -> str:
    """The part that a path belongs to: a module with a floor of its own, or what is at the top."""
    own = "/".join(names[:2])
    return own if own in FLOOR else names[0]


def parts(text: str) -> set[str]:
    """The package's own parts that a source imports."""
    names = (name.split(".")[1:] for name in imports(text) if name.startswith("dml_bench."))
    return {part(*found) for found in names} - set(dml_bench.__all__)  # its own names are no parts


def upward(sources: dict[str, str]) -> list[str]:
    return [
        f"{name} imports {other}"
        for name, text in sources.items()
        if (me := part(*name.split("/"))) != "__init__"
        for other in sorted(parts(text) - {me})
        if me in FLOOR and other in FLOOR and FLOOR[other] >= FLOOR[me]
    ]


def strangers(library: str, sources: dict[str, str]) -> list[str]:
    """The sources outside the library's homes that import it."""
    homes = HOMES[library]
    return [
        name
        for name, text in sources.items()
        if not {name, name.split("/")[0]} & homes
        and any(f"{found}.".startswith(f"{library}.") for found in imports(text))
    ]


def test_every_part_has_a_floor():
    here = {part(*name.split("/")) for name in SOURCES if not name.endswith("__init__")}
    used = set().union(*map(parts, SOURCES.values()))
    homeless = sorted((here | used) - set(FLOOR))
    assert homeless == [], f"give it a floor in FLOORS, or a name that is there: {homeless}"


def test_no_part_has_two_floors():
    assert len(FLOOR) == sum(map(len, FLOORS))


def test_imports_point_down():
    assert upward(SOURCES) == []


def test_an_import_that_points_up_is_seen_inside_a_function_too():
    assert upward({"metrics": "def score():\n    from dml_bench import bench"}) == [
        "metrics imports bench"
    ]


def test_imports_are_written_in_full():
    dotted = {name for name, text in SOURCES.items() if any(i[0] == "." for i in imports(text))}
    assert dotted == set(), "a relative import hides its floor; write dml_bench.<part>"


@pytest.mark.parametrize("library", HOMES)
def test_third_parties_have_homes(library):
    assert strangers(library, SOURCES) == [], f"{library} belongs in {sorted(HOMES[library])}"


@pytest.mark.parametrize(
    "text",
    [
        "import torch.distributed",
        "from torch import distributed",
        "from torch.distributed import all_gather",
        "import torch\n\ndef f(x):\n    torch.distributed.barrier()",
    ],
)
def test_a_third_party_away_from_home_is_seen(text):
    assert strangers("torch.distributed", {"engine": text, "dist": text}) == ["engine"]


def test_no_file_is_named_for_nothing_in_particular():
    assert {Path(name).name for name in SOURCES} & {"utils", "common", "helpers", "misc"} == set()
