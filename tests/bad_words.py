"""Words that no command should take: names, options, settings, suites."""

from refusals import NETWORK, TRAIN, Case
from toys import instead

WHERE = ("evaluate", "--dataset", "mine")
FILE = ("evaluate", "--embeddings", "PLACE/sound.npz")

TOO_LONG = f"{'x' * 300}.npz"

NAMES = {
    "no command": ([], "expected COMMAND, found none"),
    "a command unknown": (["trian"], "trian"),
    "a command empty": ([""], "command ''"),
    "a command with escapes": (["\x1b[31mtrain"], "\\x1b[31mtrain"),
    **{
        f"{command}: an option unknown": ([command, *more, "--colour", "red"], "--colour")
        for command, more in {
            "fetch": ["mine"],
            "train": ["--dataset", "mine", "--method", "random"],
            "evaluate": ["--dataset", "mine"],
            "run": ["quick"],
            "report": [],
            "publish": ["x"],
            "ledger": [],
            "list": ["runs"],
            "audit": ["PLACE/sound.npz"],
            "compare": ["x", "y"],
            "explain": ["x", "y"],
            "rerun": ["x"],
        }.items()
    },
    "fetch: nothing": (["fetch"], "expected dataset, found none"),
    "fetch: two": (["fetch", "mine", "yours"], "yours"),
    "train: nothing": (["train"], "expected --dataset, --method, found none"),
    "train: no method": (["train", "--dataset", "mine"], "expected --method, found none"),
    "train: a word too many": ([*TRAIN, "now"], "now"),
    "run: nothing": (["run"], "expected suite, found none"),
    "publish: nothing": (["publish"], "expected runs, found none"),
    "list: nothing": (["list"], "expected kind, found none"),
    "list: unknown": (["list", "recipes"], "recipes"),
    "list: misspelt": (["list", "method"], "method"),
    "audit: nothing": (["audit"], "expected file, found none"),
    "audit: nobody's file": (["audit", "PLACE/no.npz"], "no.npz: expected a file, found none"),
    "audit: a folder": (["audit", "."], ".: expected a file that ends in .npz"),
    "audit: format": (["audit", "PLACE/sound.npz", "--format", "tex"], "no format 'tex'"),
    **{
        f"audit: near {text}": (["audit", "PLACE/sound.npz", "--near", text], text)
        for text in ("0", "1", "-0.5", "nan", "x", "")
    },
    "compare: one": (["compare", "x"], "expected b, found none"),
    "compare: three": (["compare", "x", "y", "z"], "z"),
    "compare: nobody": (["compare", "x", "y"], "expected a finished run 'x', found none among 0"),
    "compare: nobody's file": (["compare", "PLACE/sound.npz", "PLACE/no.npz"], "no.npz: expected"),
    "compare: a metric": (
        ["compare", "PLACE/sound.npz", "PLACE/sound.npz", "--metrics", "recal@1"],
        "no metric 'recal@1'",
    ),
    "compare: a depth": (["compare", "PLACE/sound.npz", "PLACE/sound.npz", "--k", "0"], "0"),
    "explain: one": (["explain", "x"], "expected b, found none"),
    "explain: nobody": (["explain", "x", "y"], "expected a finished run 'x', found none among"),
    "explain: no name": (["explain", "", ""], "expected a finished run ''"),
    "explain: format": (["explain", "x", "y", "--format", "pdf"], "no format 'pdf'"),
    "rerun: nothing": (["rerun"], "expected result, found none"),
    "rerun: nobody": (["rerun", "x"], "expected a finished run 'x', found none among"),
    "rerun: half a pattern": (["rerun", "["], "expected a finished run '['"),
    **{
        f"{words[0]}: a name too long": (words, "found one that is too long")
        for words in (
            ["audit", TOO_LONG],
            ["compare", TOO_LONG, "x"],
            ["evaluate", "--embeddings", TOO_LONG],
            ["explain", "x" * 300, "x"],
            ["rerun", "x" * 300],
        )
    },
    "evaluate: nothing": (["evaluate"], "--dataset, --checkpoint or --embeddings, found none"),
    **{
        f"{words[0]}: dataset {name!r}": ([*words, name, *rest], said)
        for words, rest in (
            (("fetch",), ()),
            (("train", "--method", "random", "--dataset"), ()),
            (("evaluate", "--dataset"), ()),
        )
        for name, said in {
            "nowhere": "no dataset 'nowhere'",
            "mien": "did you mean 'mine'?",
            "": "no dataset ''",
            "../data/mine": "no dataset '../data/mine'",
            "mine/": "no dataset 'mine/'",
            "a\x1b]0;title\x07": "no dataset 'a\\x1b]0;title\\x07'",
            "a\u202eb": "no dataset 'a\\u202eb'",
        }.items()
    },
    "train: method unknown": (
        ["train", "--dataset", "mine", "--method", "invasread"],
        "invaspread",
    ),
    "train: method empty": (["train", "--dataset", "mine", "--method", ""], "no method ''"),
    "train: method that is a path": (
        ["train", "--dataset", "mine", "--method", "../x"],
        "no method",
    ),
    **{
        f"{words[0]}: device {name!r}": ([*words, "--device", name], "auto, cpu or cuda")
        for words in (TRAIN, WHERE, ("run", "quick"))
        for name in ("tpu", "", "cpu:x", "CUDA")
        if words is not WHERE
    },
    **{
        f"{words[0]}: seed {text}": ([*words, "--seed", text], "seed")
        for words in (TRAIN, WHERE)
        for text in ("-1", "x", "1.5", str(2**31), "")
    },
    **{
        f"evaluate: format {text!r}": ([*words, "--format", text], said)
        for words in (WHERE, FILE)
        for text, said in {"xls": "no format 'xls'", "": "no format ''", "csv,csv": "twice"}.items()
    },
    "train: format": ([*TRAIN, "--format", "pdf"], "no format 'pdf'"),
    **{
        f"evaluate {words[1]}: --k {text}": ([*words, "--k", text], text)
        for words in (WHERE, FILE)
        for text in ("0", "-3", "x", "1.5")
    },
    **{
        f"evaluate {words[1]}: --metrics {text!r}": ([*words, "--metrics", text], said)
        for words in (WHERE, FILE)
        for text, said in {
            "recal@1": "recal@1",
            "recall": "recall",
            "recall@0": "after 'recall@', found '0'",
            "recall@-1": "after 'recall@', found '-1'",
            "recall@x": "after 'recall@', found 'x'",
            "recall@1.5": "after 'recall@', found '1.5'",
            "recall@": "recall@",
            "recall@1@2": "after 'recall@', found '1@2'",
            "NMI": "NMI",
            "": "no metric ''",
            "nmi@3": "nmi@3",
        }.items()
    },
    "evaluate: --k alone": ([*WHERE, "--k"], "--k"),
    "evaluate: protocol unknown": ([*FILE, "--protocol", "open"], "open"),
    "evaluate: protocol of a dataset": ([*WHERE, "--protocol", "seen"], "with --embeddings only"),
    "evaluate: two sources": ([*FILE, "--dataset", "mine"], "expected no --dataset"),
    "evaluate: two files": ([*FILE, "--checkpoint", "x"], "expected no --checkpoint"),
    "evaluate: settings of a file": ([*FILE, "--set", "dim=4"], "expected no --set"),
    "evaluate: a seed of a file": ([*FILE, "--seed", "3"], "no --seed"),
    "evaluate: memory of no size": ([*FILE, "--memory", "much"], "such as 4GB or 512MB"),
    "evaluate: too little memory": ([*FILE, "--memory", "1MB"], "at least for"),
    "evaluate: an index of a dataset": ([*WHERE, "--index", "ivf"], "with --embeddings only"),
    "evaluate: an index of few images": ([*FILE, "--index", "ivf"], "50,000 images at least"),
    "evaluate: index unknown": ([*FILE, "--index", "hnsw"], "hnsw"),
    "report: nothing to report": (["report"], "expected finished runs"),
    "report: records of nobody": (["report", "--records", "PLACE/none"], "found none; name their"),
    "ledger: records of nobody": (["ledger", "--records", "PLACE/none"], "found none; name their"),
    "publish: nothing fits": (
        ["publish", "mine-*", "--into", "PLACE/into"],
        "expected a finished run",
    ),
}

NO_SETTINGS = ("epochs", "=3", "", "\x1b[2J=3", "a\nb=3")
BAD_VALUES = (
    "dim=0", "dim=-1", "dim=1.5", "dim=x", "dim=131072", "dim=true", "dim=[4]",
    "resize=-1", "resize=9000", "crop=-1", "crop=17", "batch=0", "batch=1", "batch=1048576",
    "per_class=-1", "crop=2", "epochs=-1", "epochs=many", "epochs=2.0", "epochs=1048576",
    "lr=-1", "lr=nan", "lr=inf", "lr=1e9", "lr=fast", "lr=", "momentum=1", "momentum=-0.1",
    "weight_decay=-1", "weight_decay=10", "seed=-1", "seed=2147483648", "seed=one",
    "mean=0.5", "mean=[0.5]", "mean=[0.5, 0.5, 2]", "std=[0, 1, 1]", 'std=["a", 1, 1]',
    "optimiser=adagrad", "schedule=linear", "schedule=steps:1", "schedule=steps:x=0.1",
    "order=sorted", "order=shards", "order=shards:0", "schedule=", "augmentation=crop+X",
    "augmentation=+", "precision=fp64", "monitor=nope",
    "monitor=recall@0", "monitor=linear", "fit=stretch", "head=mlp", "backbone=resnet1",
    "backbone=", "backbone=timm/no_such_net", "backbone=../../x", "weights=nowhere.pth",
    "weights=imagnet", "options=5", "source=me", "expect={}",
    "weights_digest=00", "colour=red", "temperature=hot", "temperature=0", "temperature=-1",
    "temperature=nan", "form=7", "form=prose", "neighbour=maybe",
)  # fmt: skip
SETTINGS = {**dict.fromkeys(NO_SETTINGS, "expected name=value"), **dict.fromkeys(BAD_VALUES, "")}


def suite(text, encoding="utf-8"):
    return lambda place: (place / "s.toml").write_bytes(text.encode(encoding))


HEAD = '[defaults]\ndataset = "mine"\nmethod = "random"\n'
RUN = "[[run]]\n"
SUITES = {
    "empty": ("", "expected a [[run]] or an `include`"),
    "no TOML": ("title: a suite", "expected a suite in TOML"),
    "a table that stays open": ("[[run]\n", "expected a suite in TOML"),
    "a title alone": ('title = "x"\n', "expected a [[run]] or an `include`"),
    "lists without end": ("x = " + "[" * 50_000, "expected a suite in TOML"),
    "a field unknown": (HEAD + RUN + "colour = 1\n", "unknown 'colour'"),
    "a part unknown": (HEAD + RUN + "[runs]\n", "unknown 'runs'"),
    "a default unknown": (HEAD + "epoch = 1\n" + RUN, "unknown 'epoch'"),
    "a title that is a number": ("title = 3\n" + HEAD + RUN, "`title` to be str"),
    "runs that are no list": (HEAD + "[run]\n", "`run` to be list"),
    "runs that are text": ('run = ["x"]\n', "expected a table"),
    "defaults that are text": ('defaults = "x"\n' + RUN, "`defaults` to be dict"),
    "no dataset": (RUN + 'method = "random"\n', "expected `dataset`"),
    "no method": (RUN + 'dataset = "mine"\n', "expected `method`"),
    "a dataset that is a number": (HEAD + RUN + "dataset = 3\n", "expected `dataset`"),
    "a label that is a number": (HEAD + RUN + "label = 3\n", "`label` to be str"),
    "seeds that are a number": (HEAD + RUN + "seeds = 3\n", "`seeds` to be list"),
    "no seeds": (HEAD + RUN + "seeds = []\n", "different `seeds`"),
    "a seed twice": (HEAD + RUN + "seeds = [1, 1]\n", "different `seeds`"),
    "seeds of text": (HEAD + RUN + 'seeds = ["a"]\n', "seeds of 0 or more"),
    "seeds below zero": (HEAD + RUN + "seeds = [-1]\n", "seeds of 0 or more"),
    "a seed that is true": (HEAD + RUN + "seeds = [true]\n", "seeds of 0 or more"),
    "seeds that are lists": (HEAD + RUN + "seeds = [[1], [2]]\n", "seeds of 0 or more"),
    "a seed and seeds": (HEAD + RUN + "seed = 1\nseeds = [2]\n", "either `seed`"),
    "options that are text": (HEAD + RUN + 'options = "x"\n', "`options` to be dict"),
    "what it should reach above 1": (HEAD + RUN + "expect = { nmi = 51 }\n", "as a fraction"),
    "what it should reach in words": (HEAD + RUN + 'expect = { nmi = "x" }\n', "as a fraction"),
    "what it should reach not a number": (HEAD + RUN + "expect = { nmi = nan }\n", "as a fraction"),
    "itself included": ('include = ["s"]\n', "includes itself"),
    "nobody included": ('include = ["nobody"]\n', "no suite 'nobody'"),
    "a number included": ("include = [3]\n", "no suite '3'"),
    "an include that is text": ('include = "quick"\n', "`include` to be list"),
}

CASES = {
    **{f"words: {name}": Case(words, said) for name, (words, said) in NAMES.items()},
    **{
        f"setting: {word!r}": Case(
            instead(TRAIN, word), said or f"{word.partition('=')[0]}|{word.rpartition('=')[2]}"
        )
        for word, said in SETTINGS.items()
    },
    "setting: no epoch": Case(instead(TRAIN, "epochs=0"), "expected 1 epoch or more, found 0"),
    "setting: an option of nobody": Case(
        [*TRAIN, "--set", "options={colour = 1}"],
        "no option of invaspread or recipe field 'colour'",
    ),
    "setting: said twice": Case([*TRAIN, "--set", "dataset=glyphs"], "expected it said once"),
    "setting: epochs of the untrained": Case(
        ["train", "--dataset", "mine", "--method", "random", *NETWORK[:8], "--set", "epochs=3"],
        "expected epochs 0, found 3",
    ),
    "setting: pretrained of nothing": Case(
        ["train", "--dataset", "mine", "--method", "init", *NETWORK[:8]], "expected pretrained"
    ),
    "setting: weights of text": Case(
        instead(TRAIN, "weights=PLACE/data/mine/labels.csv"), "labels.csv"
    ),
    **{
        f"suite: {name}": Case(["run", "PLACE/s.toml"], said, suite(text))
        for name, (text, said) in SUITES.items()
    },
    "suite: UTF-16": Case(["run", "PLACE/s.toml"], "in TOML", suite(HEAD + RUN, "utf-16")),
    "suite: a method unknown": Case(
        ["run", "PLACE/s.toml"],
        "suite s, run 2/2: invasread: no method 'invasread'; did you mean 'invaspread'?",
        suite(HEAD + RUN + RUN + 'method = "invasread"\n'),
    ),
    "suite: a method unknown in the second of two": Case(
        ["run", "PLACE/s.toml", "PLACE/t.toml"],
        "suite t, run 1/1: nobody: no method 'nobody'",
        lambda place: (
            suite(HEAD + RUN)(place),
            (place / "t.toml").write_text(RUN + 'dataset = "mine"\nmethod = "nobody"\n'),
        ),
    ),
    "suite: a method unknown laid over all": Case(
        ["run", "PLACE/s.toml", "--set", "method=nobody"], "no method 'nobody'", suite(HEAD + RUN)
    ),
    "suite: unknown": Case(["run", "quik"], "did you mean 'quick'?"),
    "suite: one of two unknown": Case(["run", "quick", "nobody"], "no suite 'nobody'"),
    "suite: a folder": Case(["run", "PLACE/data"], "ends in .toml, found none"),
    "suite: a path upwards": Case(["run", "../../quick"], "suite ../../quick: expected a file"),
    **{
        f"run: {' '.join(words)}": Case(["run", "quick", *words], said)
        for words, said in {
            ("--executor", "slrum"): "no executor 'slrum'; did you mean 'slurm'?",
            ("--executor", ""): "no executor ''",
            ("--executor", "slurm", "--logger", "board"): "no logger 'board'|found no sbatch",
            ("--slurm", "time=60"): "--slurm: expected it with --executor slurm, found process",
            ("--executor", "local", "--slurm", "cpus=2"): "--slurm: expected it with",
            ("--executor", "local", "--detach"): "--detach: expected it with --executor slurm",
            ("--retries", "2"): "--retries: expected it with --executor local or slurm",
            ("--executor", "local", "--retries", "-1"): "--retries: expected 0 or more, found -1",
            ("--executor", "local", "--retries", "x"): "expected a whole number, found 'x'",
            ("--status", "--cancel"): "expected --status or --cancel, found both",
            ("--executor", "local", "--device", "tpu"): "auto, cpu or cuda",
        }.items()
    },
    **{
        f"--slurm {word!r}": Case(
            ["run", "quick", "--executor", "slurm", "--slurm", word, "--device", "cpu"], said
        )
        for word, said in {
            "partition": "--slurm: expected name=value, found 'partition'",
            "": "--slurm: expected name=value, found ''",
            "patition=gpu": "no setting of --slurm 'patition'; did you mean 'partition'?",
            "partition=": "--slurm partition: expected the queue, found ''",
            "partition=a\nb": "--slurm partition: expected the queue, found",
            "time=soon": "--slurm time: expected a limit, as 4:00:00",
            "time=0": "--slurm time: expected a limit",
            "time=1:2:3:4": "--slurm time: expected a limit",
            "time=-5": "--slurm time: expected a limit",
            "cpus=0": "--slurm cpus: expected cores of a run, 1 or more, found '0'",
            "cpus=1.5": "--slurm cpus: expected cores of a run, 1 or more, found '1.5'",
            "gpus=-1": "--slurm gpus: expected accelerators of a run, 1, for it is one process",
            "memory=32": "--slurm memory: expected memory of a run, as 32G or 500M, found '32'",
            "memory=0G": "--slurm memory: expected memory of a run, as 32G or 500M, found '0G'",
            "grace=x": "--slurm grace: expected seconds before the limit",
        }.items()
    },
    "--slurm: a setting said twice": Case(
        ["run", "quick", "--executor", "slurm", "--slurm", "cpus=1", "--slurm", "cpus=2"],
        "--slurm cpus: expected it said once, found it twice",
    ),
    "cancel: no suite": Case(["run", "--cancel"], "expected suite, found none"),
    "cancel: no such suite": Case(["run", "quik", "--cancel"], "no suite 'quik'|found no sbatch"),
    "status: no such suite": Case(["run", "quik", "--status"], "did you mean 'quick'?"),
    "suite: a dataset laid over twice": Case(["run", "quick", "--set", "epochs=-1"], "epochs"),
}
