"""Any vectors in, every metric out: from arrays, and from files that anybody may have written."""

import io
import pickle
import sys
import zipfile

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from dml_bench import answering, products, scoring, search
from dml_bench.cli import main
from dml_bench.errors import (
    BenchError,
    EmbeddingsError,
    MetricError,
    RecipeError,
    UnknownNameError,
)
from dml_bench.neighbours import rank
from dml_bench.probes import linear_probe, weighted_knn
from dml_bench.scoring import default_metrics, evaluate, load_embeddings, score
from dml_bench.types import Embeddings


def blobs(size=60, classes=6, dim=5, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(size) % classes)
    centres = np.random.default_rng(9).normal(size=(classes, dim))
    return centres[labels] + rng.normal(size=(size, dim)), labels


def test_score_gives_every_metric_of_the_protocol():
    vectors, labels = blobs()
    found = score(vectors, labels, k=(1, 2, 1000))
    assert list(found["metrics"]) == default_metrics("unseen", (1, 2, 1000))
    assert all(0 <= value <= 1 for name, value in found["metrics"].items() if name != "ami")
    assert found["metrics"]["recall@1000"] == 1.0
    assert found["counts"] == {
        "queries": 60,
        "gallery": 60,
        "classes": 6,
        "dimensions": 5,
        "unanswerable": 0,
    }
    assert found["protocol"]["self_excluded_by"] == "id"
    assert found["protocol"]["kmeans"]["clusters"] == 6


@pytest.fixture
def accelerator(monkeypatch):
    """What stands for an accelerator: the devices that products were asked of."""
    asked = []

    def on_device(rows, device):
        asked.append(device)
        return products.OnDevice(rows, "cpu")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(search, "products", on_device)
    return asked


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_search_and_clusters_are_made_on_the_accelerator_in_the_same_numbers(accelerator, device):
    vectors, labels = blobs()
    found = score(vectors, labels, k=(1, 2), device=device)
    assert set(accelerator) == {"cuda"}
    assert len(accelerator) > 1  # the search, and each step of k-means
    accelerator.clear()
    assert score(vectors, labels, k=(1, 2)) == found
    assert set(accelerator) == {"cpu"}


def test_a_file_is_scored_on_the_accelerator_that_is_asked_for(accelerator, tmp_path, capsys):
    vectors, labels = blobs()
    np.savez(tmp_path / "mine.npz", vectors=vectors, labels=labels)
    words = ["evaluate", "--embeddings", str(tmp_path / "mine.npz"), "--results", str(tmp_path)]
    for device, where in (("cuda", "cuda"), ("auto", "cuda"), ("cpu", "cpu")):
        accelerator.clear()
        assert main([*words, "--device", device]) == 0
        assert set(accelerator) == {where}


def test_a_device_that_is_none_or_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    vectors, labels = blobs()
    with pytest.raises(RecipeError, match="expected auto, cpu or cuda, found 'gpu'"):
        score(vectors, labels, device="gpu")
    with pytest.raises(RecipeError, match="expected an accelerator, found none"):
        score(vectors, labels, device="cuda")


def test_score_in_a_gallery_apart():
    vectors, labels = blobs()
    gallery, known = blobs(100, seed=1)
    found = score(
        vectors, labels, (1, 5), gallery_vectors=gallery, gallery_labels=known, protocol="seen"
    )
    query, other = Embeddings(vectors, labels), Embeddings(gallery, known)
    assert found["metrics"]["knn@200"] == weighted_knn(query, other)
    assert found["metrics"]["linear"] == linear_probe(other, query)
    assert found["counts"]["gallery"] == 100
    assert found["protocol"]["self_excluded_by"] == "not needed (gallery apart)"


def test_lists_tensors_and_text_labels_score_the_same():
    vectors, labels = blobs()
    expected = score(vectors, labels)["metrics"]
    words = [f"class {label}" for label in labels]
    assert score(vectors.tolist(), words)["metrics"] == expected
    assert score(torch.from_numpy(vectors), torch.from_numpy(labels))["metrics"] == expected


def test_a_gallery_apart_changes_no_list_unless_the_classes_are_said_to_be_seen():
    items, other = Embeddings(*blobs()), Embeddings(*blobs(100, seed=1))
    apart = score(*blobs(), (1, 5), gallery_vectors=other.vectors, gallery_labels=other.labels)
    assert list(apart["metrics"]) == default_metrics("unseen", (1, 5))
    assert {"knn@200", "linear"}.isdisjoint(apart["metrics"])
    asked = scoring.report(items, other, ["knn@5", "recall@1"], "seen")
    assert list(asked["metrics"]) == ["knn@5", "recall@1"]
    assert asked["protocol"]["classes"] == "seen"
    assert scoring.report(items, other, ["recall@1"])["protocol"]["classes"] == "unseen"
    with pytest.raises(MetricError, match="'unseen' or 'seen', found 'open'"):
        scoring.report(items, other, ["recall@1"], "open")


def test_tensors_of_every_kind_are_taken():
    vectors, labels = blobs()
    tensor = torch.from_numpy(vectors)
    expected = score(vectors, labels)["metrics"]
    assert score(tensor.clone().requires_grad_(), torch.from_numpy(labels))["metrics"] == expected
    half = tensor.bfloat16()
    assert score(half, labels)["metrics"] == score(half.float().numpy(), labels)["metrics"]
    assert (
        score(tensor.half(), labels)["metrics"] == score(tensor.half().numpy(), labels)["metrics"]
    )


def test_one_depth_and_one_metric_need_no_list():
    vectors, labels = blobs()
    assert score(vectors, labels, k=3) == score(vectors, labels, k=(3,))
    assert score(vectors, labels, k=np.int64(3)) == score(vectors, labels, k=(3,))
    assert list(score(vectors, labels, metrics="nmi")["metrics"]) == ["nmi"]


def test_depths_beside_metrics_are_recalls_before_them_as_on_the_command_line():
    vectors, labels = blobs()
    found = score(vectors, labels, k=(1, 2), metrics=["nmi", "recall@1"])
    assert list(found["metrics"]) == ["recall@1", "recall@2", "nmi"]
    assert list(score(vectors, labels, k=3, metrics="nmi")["metrics"]) == ["recall@3", "nmi"]


def test_objects_are_labels_if_they_are_all_text_or_all_whole_numbers():
    vectors, labels = blobs()
    expected = score(vectors, labels)["metrics"]
    for kind in (lambda n: f"class {n}", int):
        objects = np.array([kind(label) for label in labels] + [None], object)[:-1]
        assert score(vectors, objects)["metrics"] == expected


def test_text_labels_mean_the_same_class_on_both_sides():
    answers = [
        score(np.eye(2), ["a", "b"], (1,), gallery_vectors=np.eye(2), gallery_labels=known)
        for known in (["b", "c"], ["a", "b"])
    ]
    assert answers[0]["counts"]["unanswerable"] == 1
    assert [a["metrics"]["recall@1"] for a in answers] == [0.0, 1.0]
    large = np.array([2**64 - 1, 2**64 - 2], np.uint64)
    same = score(np.eye(2), large, (1,), gallery_vectors=np.eye(2), gallery_labels=large)
    assert same["metrics"]["recall@1"] == 1.0


def test_evaluate_searches_and_clusters_once(monkeypatch):
    calls = []
    for name in ("rank", "kmeans"):
        real = getattr(answering, name)
        monkeypatch.setattr(
            answering,
            name,
            lambda *a, n=name, f=real, **kw: (calls.append((n, a[2:])), f(*a, **kw))[1],
        )
    items = Embeddings(*blobs())
    values, ranking = evaluate(items, items, ["nmi", "recall@30", "map@r", "ami", "recall@2"])
    assert [name for name, _ in calls] == ["rank", "kmeans"]
    assert list(values) == ["nmi", "recall@30", "map@r", "ami", "recall@2"]
    assert ranking.depth == 31  # one beyond: is place 30 shared?
    calls.clear()
    assert evaluate(items, items, ["recall@1", "map@r"])[1].depth == 9  # R of the largest class
    assert [name for name, _ in calls] == ["rank"]


def test_a_deeper_search_changes_no_metric():
    items = Embeddings(*blobs())
    shallow, _ = evaluate(items, items, ["recall@1"])
    deep, ranking = evaluate(items, items, ["recall@1", "recall@50"])
    assert shallow["recall@1"] == deep["recall@1"]
    assert np.array_equal(ranking.ids[:, :4], rank(items, items, 4).ids)


@pytest.mark.parametrize(
    ("keywords", "error", "said"),
    [
        ({"metrics": ["recall@0"]}, MetricError, "whole number from 1"),
        ({"metrics": ["reca"]}, UnknownNameError, "no metric 'reca'"),
        ({"k": [2.5]}, MetricError, "found '2.5'"),
        ({"protocol": "open"}, MetricError, "'unseen' or 'seen', found 'open'"),
        ({"protocol": "seen"}, MetricError, "a gallery apart from the queries for linear"),
        ({"gallery_vectors": np.eye(5)}, EmbeddingsError, "expected 'gallery_labels'"),
        ({"gallery_labels": [1]}, EmbeddingsError, "expected 'gallery_vectors'"),
        ({"gallery_ids": [1]}, EmbeddingsError, "expected 'gallery_vectors'"),
        (
            {"gallery_vectors": np.eye(3), "gallery_labels": [1, 2, 3]},
            EmbeddingsError,
            "of 5 dimensions",
        ),
        (
            {"gallery_vectors": np.eye(5), "gallery_labels": list("abcde")},
            EmbeddingsError,
            "one kind on both sides",
        ),
        ({"ids": [1] * 60}, EmbeddingsError, "expected 60 different ids, found 1"),
        ({"k": "12"}, MetricError, r"whole number or a list of them, found '12'; write k=\(1, 2\)"),
        ({"k": 1.5}, MetricError, "whole number or a list of them, found 1.5"),
        ({"metrics": 3}, MetricError, "expected metrics to be names, found 3"),
        ({"metrics": ["nmi", 3]}, MetricError, r"expected metrics to be names, found \['nmi', 3\]"),
        ({"vectors": [[1.0], [1.0, 2.0]]}, EmbeddingsError, "vectors: .*give rows of one length"),
        ({"vectors": np.full((60, 2), None)}, EmbeddingsError, r"found objects \(NoneType\)"),
        ({"labels": [None] * 60}, EmbeddingsError, r"labels: .*found objects \(NoneType\); give"),
        ({"labels": [object()] * 60}, EmbeddingsError, r"or text, found objects \(object\)"),
        ({"labels": [1, "1"] * 30}, EmbeddingsError, "all text or all numbers, found int and str"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(keywords, error, said):
    with pytest.raises(error, match=said) as refused:
        score(**(dict(zip(("vectors", "labels"), blobs(), strict=True)) | keywords))
    assert "\n" not in str(refused.value)


def test_nothing_to_search_is_refused():
    with pytest.raises(MetricError, match=r"two images at least .* found one"):
        score([[1.0, 2.0]], [1])
    with pytest.raises(MetricError, match="found none in 3; check the labels"):
        score(np.eye(3), [1, 2, 3])


def test_whole_numbers_on_both_sides_of_2_to_63_stay_whole():
    vectors, labels = blobs()
    large = [int(label) + (2**63 if label > 2 else 0) for label in labels]
    expected = score(vectors, labels, k=1)
    assert score(vectors, large, k=1, ids=[2**63 + n if n else 0 for n in range(60)]) == expected


def test_text_of_two_types_is_all_text():
    vectors, labels = blobs()
    words = [(np.str_ if n % 2 else str)(label) for n, label in enumerate(labels)]
    assert score(vectors, words, k=1) == score(vectors, labels, k=1)


VECTORS, LABELS = blobs()
ARRAYS = {"vectors": VECTORS.astype(np.float32), "labels": LABELS, "ids": np.arange(60)[::-1]}
GALLERY = {f"gallery_{name}": values.copy() for name, values in ARRAYS.items()}


def parquet(path, columns):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as writer

    writer.write_table(pyarrow.table(columns), path)


def write(path, arrays):
    """Write arrays in the format that the file's name says."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".safetensors":
        save_file({n: np.ascontiguousarray(a) for n, a in arrays.items()}, path)
    else:
        sides = [p for p in ("", "gallery_") if f"{p}vectors" in arrays]
        columns = {
            name: sum((arrays[f"{p}{name}s"].tolist() for p in sides), [])  # noqa: RUF017
            for name in ("vector", "label", "id")
            if f"{name}s" in arrays
        }
        split = [w for p in sides for w in [p.rstrip("_") or "query"] * len(arrays[f"{p}labels"])]
        parquet(path, columns | {"split": split})


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".parquet"])
def test_every_format_gives_back_what_was_saved(suffix, tmp_path):
    path = tmp_path / f"mine{suffix}"
    write(path, ARRAYS)
    query, gallery = load_embeddings(path)
    expected = Embeddings(ARRAYS["vectors"], LABELS, ARRAYS["ids"])
    assert gallery is query
    assert query.vectors.tobytes() == expected.vectors.tobytes()
    assert np.array_equal(query.labels, LABELS)
    assert np.array_equal(query.ids, ARRAYS["ids"])

    write(path, ARRAYS | GALLERY)
    query, gallery = load_embeddings(path)
    assert gallery is not query
    assert np.array_equal(gallery.vectors, query.vectors)
    assert np.array_equal(gallery.labels, LABELS)


def test_text_comes_back_from_npz_and_parquet(tmp_path):
    words = np.array([f"bird {label}" for label in LABELS])
    names = np.array([f"{n}.jpg" for n in range(60)])
    np.savez(tmp_path / "a.npz", vectors=VECTORS, labels=words, ids=names, anything=np.ones(3))
    columns = {"vector": VECTORS.tolist(), "label": words.tolist(), "id": names.tolist()}
    parquet(tmp_path / "a.parquet", columns)
    for file in ("a.npz", "a.parquet"):
        query, _ = load_embeddings(tmp_path / file)
        assert np.array_equal(query.labels, LABELS)
        assert query.ids.tolist() == names.tolist()


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_a_gallery_with_the_queries_in_it_is_refused_by_their_ids(suffix, tmp_path, capsys):
    file = tmp_path / f"mine{suffix}"
    write(file, ARRAYS | GALLERY)
    with pytest.raises(MetricError, match="found 60 ids in both"):
        score(
            VECTORS,
            LABELS,
            **{k: v for k, v in (ARRAYS | GALLERY).items() if "_" in k or k == "ids"},
        )
    assert main(["evaluate", "--embeddings", str(file), "--results", str(tmp_path)]) == 2
    assert "found 60 ids in both (first: '0')" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_gallery_with_the_queries_in_it_is_told_of_where_there_are_no_ids(tmp_path, capsys):
    def told(**arrays):
        np.savez(tmp_path / "mine.npz", **arrays)
        words = ["--embeddings", str(tmp_path / "mine.npz"), "--results", str(tmp_path)]
        assert main(["evaluate", *words, "--metrics", "recall@1"]) == 0
        return [x for x in capsys.readouterr().err.splitlines() if "in the gallery" in x]

    sides = {"vectors": VECTORS[:40], "labels": LABELS[:40]}
    sides |= {"gallery_vectors": VECTORS[30:], "gallery_labels": LABELS[30:]}
    (line,) = told(**sides)
    assert "10 of 40 have the vector of a row of it" in line
    assert told(**sides, ids=np.arange(40)) == [line]
    assert not told(**sides, ids=np.arange(40), gallery_ids=np.arange(40, 70))  # they are others
    assert not told(**sides | {"gallery_vectors": VECTORS[30:] + 1e-3})
    assert not told(vectors=VECTORS, labels=LABELS)


def test_names_that_mean_nothing_are_told_and_nothing_else_is(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", **ARRAYS, paths=np.arange(2), **{"x\x1b": np.arange(2)})
    columns = {"vector": VECTORS.tolist(), "label": LABELS.tolist()}
    parquet(tmp_path / "b.parquet", columns | {f"c{n}": LABELS for n in range(10)})
    np.savez(tmp_path / "c.npz", **ARRAYS, run="glyphs", finished="now")  # as `export` writes them
    for name in ("a.npz", "b.parquet", "c.npz"):
        load_embeddings(tmp_path / name)
    assert capsys.readouterr().err.splitlines() == [
        "a.npz: not looked at: paths, x\\x1b",
        "b.parquet: not looked at: c0, c1, c2, c3, c4, c5, c6, c7 and 2 others",
    ]


def test_labels_on_both_sides_of_2_to_63_come_back_from_parquet(tmp_path):
    large = LABELS.astype(np.uint64) + np.where(LABELS > 2, 2**63, 0).astype(np.uint64)
    parquet(tmp_path / "a.parquet", {"vector": VECTORS.tolist(), "label": large})
    assert np.array_equal(load_embeddings(tmp_path / "a.parquet")[0].labels, LABELS)


def test_what_no_metric_can_answer_is_refused_by_the_name_of_its_file(tmp_path, capsys):
    def said(vectors, labels, *words):
        np.savez(tmp_path / "mine.npz", vectors=vectors, labels=labels)
        assert main(["evaluate", "--embeddings", str(tmp_path / "mine.npz"), *words]) == 2
        return capsys.readouterr().err

    assert said(np.eye(3)[:1], [1]).startswith("error: mine.npz: expected two images")
    assert said(np.eye(3), [1, 2, 3]).startswith("error: mine.npz: expected ")
    assert "mine.npz" not in said(np.eye(3), [1, 1, 2], "--metrics", "recall@0")


def test_bfloat16_is_read(tmp_path):
    tensors = {"vectors": torch.from_numpy(VECTORS).bfloat16(), "labels": torch.from_numpy(LABELS)}
    save_torch(tensors, tmp_path / "half.safetensors")
    query, _ = load_embeddings(tmp_path / "half.safetensors")
    assert query.vectors.shape == (60, 5)


class Trap:
    """Says so when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def sprung(path):
    objects = np.empty(60, object)
    objects[:] = [Trap() for _ in range(60)]
    np.savez(path, vectors=VECTORS, labels=objects)


def raw(content):
    return lambda path: path.write_bytes(content)


def saved(**arrays):
    return lambda path: write(path, arrays)


def cut(path):
    write(path, ARRAYS)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path):
    np.savez(path, **ARRAYS)
    content = bytearray(path.read_bytes())
    content[600] ^= 255
    path.write_bytes(content)


def absurd(path):
    """A header that claims far more than the file holds."""
    buffer = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (2**44, 2**14)}
    np.lib.format.write_array_header_1_0(buffer, header)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("vectors.npy", buffer.getvalue())


def lone_array(path):
    with path.open("wb") as file:
        np.save(file, VECTORS)


BAD = [
    ("a.npz", sprung, "without pickled objects"),
    ("a.npz", raw(pickle.dumps(Trap())), "without pickled objects"),
    ("a.npz", raw(b""), "cannot be read"),
    ("a.npz", raw(b"\x00\xff" * 50), "cannot be read"),
    ("a.npz", cut, "cannot be read"),
    ("a.npz", flipped, "cannot be read"),
    ("a.npz", absurd, "cannot be read"),
    ("a.npz", lone_array, "cannot be read"),
    ("a.npz", saved(labels=LABELS), "expected 'vectors', found labels; add it"),
    ("a.npz", saved(vectors=VECTORS), "expected 'labels', found vectors; add it"),
    ("a.npz", saved(vectors=VECTORS, label=LABELS), "expected 'labels', found 'label'; rename it"),
    (
        "a.npz",
        saved(vectors=VECTORS, labels=LABELS, galery_vectors=VECTORS),
        "expected 'gallery_vectors', found 'galery_vectors'",
    ),
    ("a.npz", saved(vectors=VECTORS, labels=LABELS[:9]), "expected 60 labels"),
    ("a.npz", saved(vectors=VECTORS, labels=np.array(3)), r"found shape \(\)"),
    ("a.npz", saved(vectors=VECTORS * 0, labels=LABELS), "60 zero rows"),
    ("a.npz", saved(vectors=VECTORS * np.nan, labels=LABELS), "NaN or infinity in 60 rows"),
    ("a.npz", saved(vectors=VECTORS, labels=LABELS + 0.5), "found float64"),
    ("a.safetensors", raw(b"\x08\x00\x00\x00\x00\x00\x00\x00{}{}{}{}"), "cannot be read"),
    ("a.safetensors", raw(b"\xff" * 64), "cannot be read"),
    ("a.safetensors", cut, "cannot be read"),
    ("a.safetensors", saved(labels=LABELS), "expected 'vectors'"),
    ("a.parquet", raw(b"PAR1 no PAR1"), "cannot be read"),
    ("a.parquet", cut, "cannot be read"),
    ("a.parquet", lambda p: parquet(p, {"vector": [[1.0]]}), "expected a column 'label'"),
    (
        "a.parquet",
        lambda p: parquet(p, {"vector": [[1.0], [1.0, 2.0]], "label": [1, 2]}),
        "expected vectors of one length",
    ),
    (
        "a.parquet",
        lambda p: parquet(p, {"vector": [[1.0], [2.0]], "label": [1, None]}),
        "a full column 'label', found 1 empty",
    ),
    (
        "a.parquet",
        lambda p: parquet(p, {"vector": [[1.0], [None]], "label": [1, 2]}),
        "NaN or infinity in 1 rows",
    ),
    (
        "a.parquet",
        lambda p: parquet(p, {"vector": [[1.0]], "label": [1], "split": ["train"]}),
        "'query' or 'gallery', found 'train'",
    ),
    ("a.csv", raw(b"1,2"), "expected a file that ends in .npz, .safetensors, .parquet"),
    ("a", raw(b""), "expected a file that ends in"),
    ("a.npz", lambda _: None, "expected a file, found none"),
    ("a.npz", lambda path: path.mkdir(), "expected a file, found none"),
]


@pytest.mark.parametrize(("name", "make", "said"), BAD)
def test_a_bad_file_gives_one_clear_line(name, make, said, tmp_path):
    make(tmp_path / name)
    with pytest.raises(BenchError, match=said) as refused:
        load_embeddings(tmp_path / name)
    assert isinstance(refused.value, EmbeddingsError)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(EmbeddingsError, match=r"pip install 'dml_bench\[parquet\]'"):
        load_embeddings(tmp_path / "a.parquet")
