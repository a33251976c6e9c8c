"""What must hold for any vectors at all: the definition in slow loops, and what changes no bit.

Each property has its share of the cases: 1,330 by default, in about 30 s on one core;
`--hypothesis-profile=nightly` makes them twenty times as many. The count tried is told at the end.
"""

import itertools
import math
import os
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dml_bench import metric_table, metrics
from dml_bench.agreement import Agreement
from dml_bench.errors import BenchError, MetricError
from dml_bench.files import paired
from dml_bench.scoring import evaluate, score
from dml_bench.types import Clustering, unit_rows

RANKED = ["recall@1", "recall@2", "recall@5", "recall@40", "r_precision", "map@r"]
EVERY = [*RANKED, "knn@3", "nmi", "nmi_geometric", "nmi_chance", "ami"]
TRIED: Counter[str] = Counter()
FEW = [-(2**63), -7, -1, 0, 1, 2**24, 2**24 + 1, 2**53, 2**53 + 1, 2**63 - 1]
DIMENSIONS = [1, 2, 3, 5, 17]
DTYPES = [np.float16, np.float32, np.float64, ">f4", ">f8"]


def share(percent):
    """Settings that try `percent` of what the profile says, for each hundred."""
    return settings(
        max_examples=percent * settings().max_examples // 100,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


@pytest.fixture(scope="module", autouse=True)
def _told(request):
    yield
    kinds = ", ".join(f"{name} {n}" for name, n in TRIED.items())
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\nproperty cases tried: {TRIED.total()} ({kinds})")


# What is drawn


@st.composite
def rows(draw, dim, size):
    """(N, D): duplicates, exact ties and near ones, of several lengths, dtypes and layouts."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    codes = rng.choice([-1.0, 0.5, 1.0], size=(draw(st.integers(1, 6)), dim))
    noise = draw(st.sampled_from([0.0, 1e-8, 1e-7, 1e-3, 0.5]))
    picked = codes[rng.integers(0, len(codes), size)] + noise * rng.normal(size=(size, dim))
    longer = rng.choice(draw(st.sampled_from([[1.0], [1.0, 2.0, 100.0]])), size=(size, 1))
    if draw(st.booleans()):
        longer = 1 / np.linalg.norm(picked, axis=1, keepdims=True)  # kept as they are, in float32
    return (picked * longer).astype(draw(st.sampled_from(DTYPES)))


def in_layout(array, layout):
    """The same values, laid out in memory in another way."""
    if layout == "strided":
        wide = np.full((2 * array.shape[0], 3 * array.shape[1]), 7, array.dtype)
        wide[::2, ::3] = array
        return wide[::2, ::3]
    if layout == "backwards":
        return array[::-1, ::-1].copy()[::-1, ::-1]
    if layout == "read only":
        copy = array.copy()
        copy.flags.writeable = False
        return copy
    return np.asarray(array, order=layout)


LAYOUTS = st.sampled_from(["C", "F", "strided", "backwards", "read only"])


@st.composite
def labels(draw, kind, size):
    pools = {
        "int64": (FEW, np.int64),
        "int8": ([-128, -1, 0, 127], np.int8),
        "uint64": ([0, 5, 2**53 + 1, 2**63 - 1], np.uint64),
        "beyond int64": ([2**63, 2**63 + 1, 2**64 - 1], np.uint64),
        "text": (["", "a", "A", "é", "ab", "10", "9"], str),
        "bytes": ([b"a", b"b", b"\xff"], "S2"),
    }
    pool, dtype = pools[kind]
    some = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=len(pool), unique=True))
    return np.array(draw(st.lists(st.sampled_from(some), min_size=size, max_size=size)), dtype)


LABELS = st.sampled_from(["int64", "int64", "int8", "uint64", "beyond int64", "text", "bytes"])


@st.composite
def ids(draw, size, side):
    """None, numbers of any size or names, all different, and others on the other side."""
    kind = draw(st.sampled_from(["none", "numbers", "large", "names"]))
    order = np.random.default_rng(draw(st.integers(0, 2**32))).permutation(size)
    if kind == "none":
        return {}
    if kind == "names":
        return {"ids": np.array([f"{side}é/{n}" for n in order])}  # 10 stands before 9
    order += 100 * (side == "g")
    return {"ids": order - 3 if kind == "numbers" else order.astype(np.uint64) + np.uint64(2**63)}


@st.composite
def arrays(draw, named=False):
    """Queries, and in half of the cases a gallery apart, as `score` takes them."""
    dim, kind = draw(st.sampled_from(DIMENSIONS)), draw(LABELS)

    def side(name, least):
        size = draw(st.integers(least, 14))
        vectors = in_layout(draw(rows(dim, size)), draw(LAYOUTS))
        own = {"vectors": vectors, "labels": draw(labels(kind, size))}
        fresh = np.random.default_rng(size).permutation(size) + 100 * (name == "g")
        named_ids = {"ids": fresh} if named else {}
        return own | (draw(ids(size, name)) or named_ids)

    query = side("q", 1)
    if draw(st.booleans()):
        return query
    return query | {f"gallery_{name}": values for name, values in side("g", 1).items()}


# The definition


def by_definition(given_arrays, depths):
    """Recalls, R-precision and MAP@R in exact fractions; None where no query has an answer."""
    query, gallery = paired(given_arrays)
    alone = query is gallery
    side = "" if alone else "gallery_"
    classes, known = (given_arrays[n].tolist() for n in ("labels", f"{side}labels"))
    names = given_arrays.get(f"{side}ids", np.arange(len(gallery))).tolist()
    each = []
    for q, asked in enumerate(query.vectors.astype(np.float64).tolist()):
        ordered = []
        for g, found in enumerate(gallery.vectors.astype(np.float64).tolist()):
            total = 0.0
            for a, b in zip(asked, found, strict=True):
                total += a * b
            if not (alone and g == q):
                ordered.append((-total, names[g], known[g] == classes[q]))
        right = [hit for _, _, hit in sorted(ordered)]
        if any(right):
            each.append(of_one_query(right, depths))
    return [float(sum(column) / len(each)) for column in zip(*each, strict=True)] or None


def of_one_query(right, depths):
    relevant = sum(right)
    found, total = 0, Fraction(0)
    for place, hit in enumerate(right[:relevant], start=1):
        found += hit
        total += Fraction(found * hit, place)
    recalls = [Fraction(any(right[:k])) for k in depths]
    return [*recalls, Fraction(found, relevant), total / relevant]


@share(500)
@given(arrays())
def test_every_ranked_metric_is_its_definition(given_arrays):
    TRIED["definition"] += 1
    there = len(given_arrays.get("gallery_labels", given_arrays["labels"][1:]))
    if not there:
        with pytest.raises(MetricError, match=r"two images at least .* embed more images"):
            score(**given_arrays, metrics=RANKED)
        return
    expected = by_definition(given_arrays, (1, 2, 5, 40))
    if expected is None:
        with pytest.raises(MetricError, match="expected a query with another image of its class"):
            score(**given_arrays, metrics=RANKED)
        return
    found = score(**given_arrays, metrics=RANKED)["metrics"]
    assert list(found.values()) == pytest.approx(expected, abs=1e-12)
    assert [found[n] for n in RANKED[:4]] == expected[:4]  # counts of queries: exact


@share(100)
@given(st.data())
def test_unit_rows_are_the_rows_over_their_lengths(data):
    TRIED["unit rows"] += 1
    given_rows = data.draw(rows(data.draw(st.sampled_from(DIMENSIONS)), 5))
    tiny = data.draw(st.sampled_from([1.0, 1e-300, 1e300])) if given_rows.dtype == float else 1.0
    for unit, row in zip(unit_rows(given_rows * tiny), given_rows.tolist(), strict=True):
        length = math.sqrt(sum(Fraction(x) ** 2 for x in row))
        assert unit.tolist() == pytest.approx([x / length for x in row], abs=1e-6)


def test_unsigned_labels_may_lie_beyond_int64_on_one_side_only():
    one = np.ones((2, 1))
    known = np.array([0, 2**63 + 1], np.uint64)
    found = score(one, known * 0, gallery_vectors=one, gallery_labels=known, metrics=["recall@1"])
    assert found["metrics"]["recall@1"] == 1.0


# What changes no bit


def values(given_arrays, names=EVERY):
    """Every metric and every tie to the last bit, or what is said of the arrays."""
    try:
        found = score(**given_arrays, metrics=names)
    except BenchError as refused:
        return str(refused)
    return {name: value.hex() for name, value in found["metrics"].items()}, found["ties"]


def shuffled(given_arrays, order_of):
    """The rows of each side, in another order, with their labels and ids."""
    sides = {"": len(given_arrays["labels"]), "gallery_": len(given_arrays.get("gallery_ids", ()))}
    orders = {prefix: order_of(size) for prefix, size in sides.items()}
    return {
        name: array[orders["gallery_" if name.startswith("gallery_") else ""]]
        for name, array in given_arrays.items()
    }


def renamed(given_arrays, seed, kind):
    """The same partition under other names."""
    both = [n for n in ("labels", "gallery_labels") if n in given_arrays]
    known = np.unique(np.concatenate([given_arrays[n] for n in both]))
    fresh = np.random.default_rng(seed).permutation(len(known))
    names = {
        "numbers": fresh * 2**40 - 2**45,
        "text": np.array([f"class {n}" for n in fresh]),
    }[kind]
    return given_arrays | {n: names[np.searchsorted(known, given_arrays[n])] for n in both}


@share(250)
@given(arrays(named=True), st.integers(0, 2**32), st.sampled_from(["numbers", "text"]))
def test_threads_names_of_classes_and_the_order_of_rows_change_no_bit(given_arrays, seed, kind):
    TRIED["same bits"] += 1
    before, plain = faiss.omp_get_max_threads(), values(given_arrays)
    mixed = shuffled(given_arrays, np.random.default_rng(seed).permutation)
    faiss.omp_set_num_threads(3)
    try:
        assert values(given_arrays) == plain
        assert values(renamed(mixed, seed, kind)) == plain
    finally:
        faiss.omp_set_num_threads(before)
    assert values(renamed(given_arrays, seed, kind)) == plain
    assert values(mixed) == plain


@share(200)
@given(arrays(), LAYOUTS)
def test_neither_layout_nor_width_nor_byte_order_of_the_same_numbers_changes_a_bit(given, layout):
    TRIED["layouts"] += 1
    plain = {name: np.ascontiguousarray(array) for name, array in given.items()}
    sides = [name for name in given if name.endswith("vectors")]
    others = [
        {name: in_layout(given[name], layout) for name in sides},
        {name: given[name].astype(given[name].dtype.newbyteorder("S")) for name in sides},
    ]
    if all(given[name].dtype == np.float16 for name in sides):
        others.append({name: given[name].astype(np.float64) for name in sides})
    for other in others:
        assert values(given | other) == values(plain)
        for name in sides:
            assert unit_rows(other[name]).tobytes() == unit_rows(plain[name]).tobytes()


@share(30)
@given(arrays(named=True), st.integers(0, 2**32))
def test_a_linear_probe_is_the_same_whatever_rows_and_classes_are_called(given_arrays, seed):
    TRIED["linear"] += 1
    plain = values(given_arrays, ["linear"])
    mixed = shuffled(given_arrays, np.random.default_rng(seed).permutation)
    assert values(renamed(mixed, seed, "numbers"), ["linear"]) == plain


@share(100)
@given(arrays())
def test_what_each_query_answered_has_the_metric_for_its_mean(given_arrays):
    TRIED["per query"] += 1
    query, gallery = paired(given_arrays)
    if isinstance(plain := values(given_arrays, RANKED), str):
        return
    _, ranking = evaluate(query, gallery, RANKED)
    for name in RANKED:
        each = metric_table.metric(name).per_query(ranking)
        assert each.values.shape == each.counted.shape == (len(query),)
        assert each.mean().hex() == plain[0][name]
        assert np.array_equal(each.counted, ranking.n_relevant > 0)


# Clusters


def mutual(pairs):
    """Mutual information in nats, and both entropies, from the definition."""
    n, cells = len(pairs), Counter(pairs)
    classes, clusters = Counter(c for c, _ in pairs), Counter(h for _, h in pairs)
    shared = sum(
        m / n * math.log(n * m / (classes[c] * clusters[h])) for (c, h), m in cells.items()
    )
    entropies = [-sum(m / n * math.log(m / n) for m in side.values()) for side in
                 (classes, clusters)]  # fmt: skip
    return shared, *entropies


@share(120)
@given(st.lists(st.tuples(st.sampled_from(FEW), st.integers(0, 4)), min_size=1, max_size=30))
def test_agreement_of_partitions_is_its_definition(pairs):
    TRIED["agreement"] += 1
    classes, clusters = np.array(pairs, np.int64).T
    found, shared = Agreement(classes, clusters), mutual(pairs)
    assert (found.mutual, *found.entropies) == pytest.approx(shared, abs=1e-12)
    for other in (clusters, classes, np.arange(len(classes))):
        both = Agreement(classes, other)
        assert 0 <= both.mutual <= min(both.entropies)
        assert 0 <= both.expected <= min(both.entropies)
    mean, product = sum(shared[1:]) / 2, shared[1] * shared[2]
    both = Clustering(clusters[None], classes)
    assert metrics.nmi(both) == pytest.approx(shared[0] / mean if mean else 1.0, abs=1e-9)
    if product:
        assert metrics.nmi_geometric(both) == pytest.approx(shared[0] / product**0.5, abs=1e-9)


@share(30)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=6))
def test_chance_is_the_mean_over_every_permutation(pairs):
    TRIED["chance"] += 1
    classes, clusters = (list(side) for side in zip(*pairs, strict=True))
    every = [
        mutual(list(zip(classes, o, strict=True)))[0] for o in itertools.permutations(clusters)
    ]
    shared, *entropies = mutual(pairs)
    chance, mean = sum(every) / len(every), sum(entropies) / 2
    both = Clustering(np.array([clusters]), np.array(classes))
    assert metrics.nmi_chance(both) == pytest.approx(chance / mean if mean else 1.0, abs=1e-9)
    if mean - chance > 1e-6:
        assert metrics.ami(both) == pytest.approx((shared - chance) / (mean - chance), abs=1e-6)


# Other processes


def digest():
    """A digest of every metric of 40 sets with many ties, for a process of its own."""
    seen = sha256()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        codes = rng.normal(size=(9, 24)) + 1e-8 * rng.normal(size=(150, 9, 24))
        vectors = codes[np.arange(150), rng.integers(0, 9, 150)]
        vectors[60:90] = vectors[:30]
        seen.update(repr(values({"vectors": vectors, "labels": rng.integers(0, 12, 150)})).encode())
    return seen.hexdigest()


def test_processes_with_other_numbers_of_threads_give_the_same_bits():
    command = [sys.executable, "-c", "import test_metric_properties as t; print(t.digest())"]
    answers = {
        subprocess.run(
            command,
            env=os.environ | {name: str(n) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")},
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for n in (1, 2, 4)
    }
    assert len(answers) == 1


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_every_property_holds_in_twenty_times_as_many_cases():
    command = [sys.executable, "-m", "pytest", "--hypothesis-profile=nightly", "--timeout=0"]
    root = Path(__file__).parent.parent
    subprocess.run([*command, __file__, "-m", "not nightly"], cwd=root, check=True)
