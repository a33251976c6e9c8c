"""What a recipe's settings do: questions of the ledger that are this project's own.

No paper's claim stands behind them: what a strong start needs, what the numbers of the released
recipe do, what the precision costs.
"""

from dataclasses import replace

from dml_bench.ledger.claims import ALIKE, ANY_RATE, LOSS, PLAIN, Claim, Question


def _start(text: str, name: str, first: object, second: object) -> Claim:
    base = {**LOSS, "weights": "imagenet"}
    text = f"From ImageNet weights, {text}"
    return Claim(text, {**base, name: first}, {**base, name: second}, rate=ANY_RATE)


def _better(text: str, short: str, name: str, first: object, second: object) -> Claim:
    return Claim(text, {**PLAIN, name: first}, {**PLAIN, name: second}, short=short)


START = Question(
    "What a strong start needs",
    (
        _start(
            "training with batch norm frozen ends higher than with batch norm trained",
            "batch_norm",
            "frozen",
            "train",
        ),
        _start(
            "the head alone trained ends higher than all of it trained", "trained", "head", "all"
        ),
        _start(
            "the features end higher with the head thrown away than with it",
            "head",
            "projection",
            "linear",
        ),
        _start("training without a head ends higher than with one", "head", "none", "linear"),
        _start("a tenth of the rate ends higher", "lr", 0.0001, 0.001),
        _start("a quarter of the images ends higher than all", "share", 0.25, 1.0),
        replace(
            _start(
                "training ends where the rate 0 ends, which moves batch norm's statistics alone",
                "lr",
                0.001,
                0.0,
            ),
            expected=ALIKE,
        ),
    ),
    "frozen batch norm leaves its running statistics as they were, bit for bit, and the head alone"
    " leaves the backbone (`tests/test_frozen.py`). A quarter of the images is a quarter of the"
    " steps, too. A head that is thrown away or never there leaves more dimensions to be asked.",
)
KNOBS = Question(
    "What temperature, dimension and batch do",
    (
        *(
            _better(
                f"The temperature 0.1 does better than {other:g}",
                f"temperature 0.1 above {other:g}",
                "options.temperature",
                0.1,
                other,
            )
            for other in (0.05, 0.2, 0.5)
        ),
        *(
            _better(
                f"128 dimensions do better than {other}",
                f"128 dimensions above {other}",
                "dim",
                128,
                other,
            )
            for other in (32, 64, 256)
        ),
        *(
            _better(
                f"Batches of 128 do better than batches of {other}",
                f"batches of 128 above {other}",
                "batch",
                128,
                other,
            )
            for other in (32, 64, 256)
        ),
    ),
    "one is changed at a time, the rate is not: smaller batches take more steps of the same rate,"
    " and a lower temperature longer ones.",
)
PRECISION = Question(
    "What bfloat16 costs",
    (
        Claim(
            "In bfloat16 the released loss ends where it ends in float32",
            {**LOSS, "precision": "bf16"},
            {**LOSS, "precision": "fp32"},
            ALIKE,
        ),
    ),
    "the vectors, and so the loss, are float32 either way (`tests/test_models.py`).",
)
