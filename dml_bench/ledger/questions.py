"""What the ledger asks of the records: the paper's claims, and the questions of `settings`.

Nothing here is an answer: the records are searched for recipes that differ in just what a claim
names, and `verdicts` says what their difference decides.
"""

from dml_bench.ledger.claims import (
    ALIKE,
    ANY_RATE,
    LESS,
    LOSS,
    PLAIN,
    SAME_STEP,
    Claim,
    Goal,
    Question,
    Rises,
    Side,
)
from dml_bench.ledger.settings import KNOBS, PRECISION, START

HELPS = ("helps", "harms", "not decided")
AHEAD = ("ahead of", "behind", "not told apart from")


def _without(part: str, rest: str, printed: str) -> Claim:
    rows = ("ablations", "as released", printed)
    return _augmented(f"{part} helps among the four", part, "R+C+G+F", rest, rows)


def _augmented(
    text: str, part: str, which: str, rest: str, printed: tuple[str, str, str] | None = None
) -> Claim:
    base, changed = ({**PLAIN, "augmentation": name} for name in (which, rest))
    return Claim(text, base, changed, printed=printed, short=part, words=HELPS)


def _plain(**change: object) -> Side:
    return {**PLAIN, **{f"options.{name}": value for name, value in change.items()}}


def _faster(other: Side, name: str) -> Claim:
    text = f"InvaSpread learns faster than {name}"
    return Claim(text, PLAIN, other, across=True, by="curve", short=name, words=AHEAD)


def _beside(method: str, name: str, printed: tuple[str, str, str] | None = None) -> Claim:
    return Claim(
        f"By Recall@1 InvaSpread does better than {name} with labels",
        {**LOSS, "trained": "all"},
        {"method": method, "trained": "all"},
        printed=printed,
        across=True,
        unseen=True,
        beside="map@r",
        short=name,
        words=AHEAD,
    )


AUGMENTATIONS = Question(
    "Each augmentation's share",
    (
        _without("RandomResizedCrop", "C+G+F", "without RandomResizedCrop"),
        _without("RandomGrayscale", "R+C+F", "without RandomGrayscale"),
        _without("ColorJitter", "R+G+F", "without ColorJitter"),
        _without("RandomHorizontalFlip", "R+C+G", "without RandomHorizontalFlip"),
        _augmented(
            "All of R+C+G+F together helps",
            "all four",
            "R+C+G+F",
            "none",
            ("ablations", "as released", "without any augmentation"),
        ),
        _augmented(
            "R+C+G+F does better than a plain crop and a flip",
            "the four over crop and flip",
            "R+C+G+F",
            "crop+F",
        ),
        _augmented("RandomResizedCrop helps by itself", "the crop by itself", "R", "none"),
        _augmented("A random affine map helps, as letters have it", "affine", "affine", "none"),
        _augmented(
            "RandomHorizontalFlip helps beside an affine map",
            "flip beside affine",
            "affine+F",
            "affine",
        ),
    ),
    "each part is drawn and applied by itself, against torchvision and by drawn cases"
    " (`tests/test_augment.py`); leaving one out moves no other draw. Letters have no colour and"
    " do not mirror: the paper's shares are asked of photographs, and a part that harms them there"
    " says nothing of it here. The paper's gap between all four and none is of 200 epochs: a"
    " thousand times as many steps as a tenth of the images has here.",
)
HARD = ("the hard half of the negatives", "the easy half of the negatives")
NEGATIVES = Question(
    "Hard against easy negatives",
    (
        Claim(
            "The hard half of the negatives does better than the easy half",
            _plain(negatives="hard"),
            _plain(negatives="easy"),
            short="the hard half above the easy half",
            printed=("ablations", *HARD),
        ),
        Claim(
            "The hard half does as well as all negatives",
            _plain(negatives="hard"),
            PLAIN,
            ALIKE,
            printed=("ablations", HARD[0], "as released"),
            short="the hard half as good as all",
        ),
        Claim(
            "The easy half does worse than all negatives",
            _plain(negatives="easy"),
            PLAIN,
            LESS,
            printed=("ablations", HARD[1], "as released"),
            short="the easy half below all",
        ),
    ),
    "the halves are taken by similarity row by row (`tests/test_losses.py`, against slow loops)."
    " The released code has no easy half: how the paper took it is not known.",
)
FORMS = Question(
    "Paper form and code form",
    (
        Claim(
            "At the same rate the printed loss ends where the released one ends",
            PLAIN,
            _plain(form="paper"),
            ALIKE,
        ),
        Claim(
            "At the rate divided by the batch the printed loss ends where the released one ends",
            PLAIN,
            _plain(form="paper"),
            ALIKE,
            rate=SAME_STEP,
        ),
        Claim("Stop-gradient helps the released loss", PLAIN, _plain(detach_keys="no")),
        Claim(
            "Stop-gradient helps the printed loss, at the rate divided by the batch",
            _plain(form="paper", detach_keys="yes"),
            _plain(form="paper"),
            rate=SAME_STEP,
        ),
        Claim(
            "The nearest neighbour as every other second view helps",
            _plain(neighbour=True),
            PLAIN,
            rate=ANY_RATE,
        ),
    ),
    "both forms against slow loops and the released lines (`tests/test_losses.py`). The printed"
    " loss is a sum over the batch, the released one a mean: at one rate the steps of the first"
    " are as many times as large as the batch holds images. Without stop-gradient each pair pulls"
    " from both sides, and a step of the released loss is about twice as long, nearly the same way"
    " (`tests/test_losses.py`): at one rate, two lengths of step are compared as well.",
    rises=(
        Rises(
            "Without stop-gradient the released loss still ends above what it started from",
            _plain(detach_keys="no"),
        ),
    ),
)
SPEED = Question(
    "Learning speed",
    (
        _faster({"method": "nce", "options.constant": "once"}, "NCE, as the paper describes it"),
        _faster({"method": "nce", "options.constant": "average"}, "NCE with a moving average"),
        _faster({"method": "exemplar"}, "Exemplar"),
        _faster({"method": "npsoftmax"}, "NPSoftmax"),
    ),
    "the mean over the epochs of what is asked after each. An epoch shows each image once, but for"
    " those of a last batch that is not full; NCE, NPSoftmax and Exemplar look at one view of it,"
    " InvaSpread at two, as in the paper: at as many looks it has half as many epochs. InvaSpread"
    " has its released rate, another method the one of the suite. For NCE and NPSoftmax lower ones"
    " were tried on letters (suite `ledger-rates`: six epochs, seed 0, by Recall@1 on the test"
    " letters, the same that are counted here); the best of them is run beside it with three"
    " seeds. Exemplar has a lower rate on letters. Where a row says of how many rates it is the"
    " best, it is the best on the test, of those with as many epochs; where another rate did better"
    " at another budget, it says so."
    " One that does not end above the untrained network has not begun to learn in these epochs:"
    " that InvaSpread has is all that is shown beside it, and how fast the other learns later is"
    " not asked. `tests/test_learning.py` holds that they learn at all, of fewer images in more"
    " visits, at lower rates, NPSoftmax and NCE at a temperature of 0.5, and NCE with a moving"
    " average: with the constant of the first batch it is not shown to. Where InvaSpread stays"
    " below what the paper states of two epochs: the loss is that of the released lines"
    " (`tests/test_losses.py`), the vote that of its definition (`tests/test_probes.py`), and what"
    " the precision does is asked by itself; the images are JPEG copies, and what that costs is"
    " not known; nor is what the released code's batch norm does on its four devices, where each"
    " sees 64 images of one view, and ours all of both.",
    "60 % weighted kNN on CIFAR-10 are reached after 2 epochs by InvaSpread, 25 by NCE, 45 by"
    " Exemplar (Ye et al., CVPR 2019, section 4.1)",
    goals=(
        Goal(
            "InvaSpread comes to {} % weighted kNN in two epochs of CIFAR-10",
            0.6,
            epochs=2,
            said="stated in the paper of cifar10",
        ),
    ),
)
LABELS = Question(
    "Unsupervised against supervised, on classes that training never shows",
    (
        _beside(
            "lifted",
            "lifted structure",
            (
                "paper-cub200",
                "InvaSpread, loss and schedule as released",
                "lifted structure, with labels",
            ),
        ),
        _beside("triplet_semihard", "semi-hard triplets"),
        _beside("contrastive", "the contrastive loss"),
        _beside("n_pair", "N-pair"),
        _beside("angular", "the angular loss"),
        _beside("margin", "the margin loss"),
        _beside("multi_similarity", "multi-similarity"),
        _beside("norm_softmax", "NormSoftmax"),
        _beside("arcface", "ArcFace"),
        _beside("proxy_nca", "ProxyNCA"),
        _beside("proxy_anchor", "Proxy-Anchor"),
        _beside("soft_triple", "SoftTriple"),
        _beside("supcon", "SupCon"),
    ),
    "the supervised losses are the library's where it has them, else against slow loops"
    " (`tests/test_supervised_methods.py`); all get the labels of the training classes alone."
    " InvaSpread looks at two views of an image, a supervised method at one, in batches of a few"
    " images of each class. Only lifted structure is the paper's own comparison. A side that does"
    " not end above the network it started from has lost to doing nothing, whoever is ahead: so it"
    " is said. InvaSpread has its released rate, a supervised method the one of the suite: on"
    " letters a lower one for a method with a weight for each class. Where a row says of how many"
    " rates it is the best, it is the best on the test.",
)
QUESTIONS = (AUGMENTATIONS, NEGATIVES, FORMS, KNOBS, SPEED, LABELS, START, PRECISION)
