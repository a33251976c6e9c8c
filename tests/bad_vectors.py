"""Files of embeddings, checkpoints and results that no command should take."""

import io
import json
import os
import zipfile

import numpy as np
from refusals import Case, trap, zipped

N = 6
DRAW = np.random.default_rng(0)
SOUND = {
    "vectors": DRAW.normal(size=(N, 3)).astype("f4"),
    "labels": np.arange(N) % 2,
}
GALLERY = {"gallery_vectors": SOUND["vectors"], "gallery_labels": SOUND["labels"]}


def holding(value):
    """The sound vectors with one value in a row."""
    vectors = SOUND["vectors"].copy()
    vectors[2, 1] = value
    return {"vectors": vectors}


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **{k: v for k, v in {**SOUND, **arrays}.items() if v is not None})
    return buffer.getvalue()


def header(text, body=b""):
    """An .npy file with any header."""
    raw = text.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + body


def with_npy(content, name="vectors.npy"):
    buffer = io.BytesIO()
    np.save(buffer, SOUND["labels"])
    return zipped((name, content), ("labels.npy", buffer.getvalue()))


def objects(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def half(content):
    return content[: len(content) // 2]


ZERO = SOUND["vectors"].copy()
ZERO[4] = 0
ARRAYS = {
    "NaN": (holding(np.nan), "NaN or infinity in 1 rows (first: row 2)"),
    "infinity": (holding(np.inf), "NaN or infinity in 1 rows (first: row 2)"),
    "less than -infinity": (holding(-np.inf), "NaN or infinity"),
    "a zero row": ({"vectors": ZERO}, "found 1 zero rows (first: row 4)"),
    "all zero": ({"vectors": np.zeros((N, 3))}, f"found {N} zero rows"),
    "one dimension": ({"vectors": np.ones(N)}, "shape (N, D)"),
    "three dimensions": ({"vectors": np.ones((N, 3, 1))}, "shape (N, D)"),
    "a scalar": ({"vectors": np.float32(1)}, "shape (N, D)"),
    "no row": ({"vectors": np.ones((0, 3)), "labels": np.ones(0, int)}, "shape (N, D)"),
    "no column": ({"vectors": np.ones((N, 0))}, "shape (N, D)"),
    "complex vectors": ({"vectors": np.ones((N, 3), complex)}, "in numbers"),
    "text vectors": ({"vectors": np.full((N, 3), "1")}, "in numbers"),
    "dates": ({"vectors": np.zeros((N, 3), "M8[s]")}, "in numbers"),
    "true and false": ({"vectors": np.ones((N, 3), bool)}, "in numbers"),
    "named fields": ({"vectors": np.zeros((N, 3), [("a", "f4")])}, "in numbers"),
    "objects": ({"vectors": objects(*range(N))}, "without pickled objects"),
    "labels that are objects": ({"labels": objects(*"ababab")}, "without pickled objects"),
    "ids that are objects": ({"ids": objects(*range(N))}, "without pickled objects"),
    "a label too few": ({"labels": np.arange(N - 1)}, f"expected {N} labels"),
    "a label too many": ({"labels": np.arange(N + 1)}, f"expected {N} labels"),
    "labels in a column": ({"labels": np.ones((N, 1), int)}, f"expected {N} labels"),
    "labels that are one number": ({"labels": np.int64(3)}, f"expected {N} labels"),
    "labels with fractions": ({"labels": np.linspace(0, 1, N)}, "integers or text"),
    "labels that are NaN": ({"labels": np.full(N, np.nan)}, "integers or text"),
    "labels that are true": ({"labels": np.ones(N, bool)}, "integers or text"),
    "labels that are dates": ({"labels": np.zeros(N, "M8[s]")}, "integers or text"),
    "ids too few": ({"ids": np.arange(3)}, f"expected {N} ids"),
    "ids with fractions": ({"ids": np.linspace(0, 1, N)}, f"expected {N} ids"),
    "an id twice": (
        {"ids": np.array([0, 1, 2, 3, 4, 4])},
        f"{N} different ids, found 5 (more than once: '4'); give",
    ),
    "ids in a column": ({"ids": np.arange(N)[:, None]}, f"expected {N} ids"),
    "no vectors": ({"vectors": None}, "expected 'vectors'"),
    "no labels": ({"labels": None}, "expected 'labels'"),
    "nothing": ({"vectors": None, "labels": None}, "expected 'vectors', found nothing"),
    "a name misspelt": ({"vectors": None, "vector": SOUND["vectors"]}, "found 'vector'; rename"),
    "ids in the singular": ({"id": np.arange(N)}, "expected 'ids', found 'id'; rename it"),
    "a name in capitals": ({"IDs": np.arange(N)}, "expected 'ids', found 'IDs'; rename it"),
    "gallery ids in the singular": (
        {**GALLERY, "gallery_id": np.arange(N)},
        "expected 'gallery_ids', found 'gallery_id'",
    ),
    "a split": ({"split": np.array(["query"] * N)}, "found 'split', which only .parquet may"),
    "a split in the plural": ({"splits": np.arange(N)}, "found 'splits', which only .parquet may"),
    "a gallery without labels": (
        {"gallery_vectors": SOUND["vectors"]},
        "expected 'gallery_labels'",
    ),
    "a gallery without vectors": (
        {"gallery_labels": SOUND["labels"]},
        "expected 'gallery_vectors'",
    ),
    "a gallery of other width": (
        {**GALLERY, "gallery_vectors": np.ones((N, 4))},
        "gallery vectors of 3 dimensions",
    ),
    "a gallery with NaN": (
        {**GALLERY, "gallery_vectors": np.full((N, 3), np.nan)},
        "gallery: expected finite vectors, found NaN or inf",
    ),
    "a gallery with other labels": (
        {**GALLERY, "gallery_labels": np.array([*"ababab"])},
        "labels of one kind on both sides",
    ),
    "a gallery with labels too few": (
        {**GALLERY, "gallery_labels": np.arange(2)},
        "gallery: expected 6 labels",
    ),
    "a gallery with an id twice": (
        {**GALLERY, "gallery_ids": np.zeros(N, int)},
        f"{N} different ids, found 1",
    ),
}
SOUND_NPZ = npz()
DAMAGED = {
    "empty": b"",
    "text": b"0.1,0.2,0.3\n",
    "an archive of nothing": zipped(),
    "an archive of something else": zipped(("readme.txt", b"hello")),
    "a bare array": header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", bytes(8)),
    "members that are no arrays": zipped(("vectors", b"0.1"), ("labels", b"1")),
    "members that are called arrays": zipped(("vectors.npy", b"0.1"), ("labels.npy", b"1")),
    "half": half(SOUND_NPZ),
    "an eighth": SOUND_NPZ[: len(SOUND_NPZ) // 8],
    "all but its end": SOUND_NPZ[:-30],
    "bytes turned over": SOUND_NPZ.replace(SOUND["vectors"].tobytes()[:8], b"\xff" * 8),
    "a header that is code": with_npy(header("__import__('os').system('touch sprung')")),
    "a header without shape": with_npy(header("{'descr': '<f4', 'fortran_order': False}")),
    "a header of another kind": with_npy(header("[1, 2]")),
    "a shape beyond memory": with_npy(
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 512), }")
    ),
    "a negative shape": with_npy(
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 3), }")
    ),
    "a shape larger than the data": with_npy(
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (6, 3), }", bytes(8))
    ),
    "a type unknown": with_npy(header("{'descr': '<q9', 'fortran_order': False, 'shape': (6,), }")),
    "an array cut short": with_npy(header("{'descr': '<f4'")[:40]),
}


def file(content, name="mine.npz"):
    return lambda place: (place / name).write_bytes(content)


def given(name="mine.npz"):
    return ["evaluate", "--embeddings", f"PLACE/{name}"]


def tensors(names=("vectors", "labels"), **header_changes):
    """A safetensors file of zeros by these names, its header as one likes."""
    about = {
        name: {"dtype": "F32", "shape": [2, 2], "data_offsets": [16 * n, 16 * n + 16]}
        for n, name in enumerate(names)
    }
    raw = json.dumps({**about, **header_changes}).encode()
    return len(raw).to_bytes(8, "little") + raw + bytes(16 * len(names))


SAFE = {
    "empty": b"",
    "text": b"not a tensor in sight",
    "a header without end": (2**62).to_bytes(8, "little") + b"{}",
    "a header that is no JSON": (2).to_bytes(8, "little") + b"{[",
    "a header that is a list": (2).to_bytes(8, "little") + b"[]",
    "half": half(tensors()),
    "offsets beyond the file": tensors(
        vectors={"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 4_000]}
    ),
    "a type unknown": tensors(vectors={"dtype": "X9", "shape": [2, 2], "data_offsets": [0, 16]}),
    "no labels": tensors(("vectors",)),
    "labels of floats": tensors(),
}


def parquet(**columns):
    def arrange(place):
        import pyarrow as pa
        from pyarrow import parquet

        kept = {k: v for k, v in columns.items() if v is not None}
        parquet.write_table(pa.table(kept), place / "mine.parquet")

    return arrange


ROWS = {"vector": [[1.0, 0.0], [0.0, 1.0]], "label": [1, 2]}
PARQUET = {
    "no vector": (parquet(**{**ROWS, "vector": None}), "expected a column 'vector'"),
    "no label": (parquet(**{**ROWS, "label": None}), "expected a column 'label'"),
    "an empty label": (parquet(**{**ROWS, "label": [1, None]}), "a full column 'label'"),
    "an empty vector": (parquet(**{**ROWS, "vector": [[1.0], None]}), "a full column 'vector'"),
    "vectors of two lengths": (parquet(**{**ROWS, "vector": [[1.0], [1.0, 2.0]]}), "one length"),
    "vectors of text": (parquet(**{**ROWS, "vector": [["a"], ["b"]]}), "in numbers"),
    "vectors that are numbers": (parquet(**{**ROWS, "vector": [1.0, 2.0]}), "shape (N, D)"),
    "vectors with NaN": (parquet(**{**ROWS, "vector": [[1.0], [float("nan")]]}), "NaN or inf"),
    "another split": (parquet(**ROWS, split=["query", "train"]), "'query' or 'gallery', found"),
    "a split in the plural": (
        parquet(**ROWS, splits=["query", "gallery"]),
        "expected 'split', found 'splits'; rename it",
    ),
    "ids in the plural": (parquet(**ROWS, ids=[1, 2]), "expected 'id', found 'ids'; rename it"),
    "vectors in the plural": (
        parquet(label=[1, 2], vectors=ROWS["vector"]),
        "expected 'vector', found 'vectors'; rename it",
    ),
    "no query": (parquet(**ROWS, split=["gallery", "gallery"]), "expected 'vectors'"),
    "text": (file(b"no table", "mine.parquet"), "expected a sound .parquet file"),
    "empty": (file(b"", "mine.parquet"), "expected a sound .parquet file"),
}
ENDINGS = ("pkl", "pt", "csv", "npy", "h5", "npz.bak")


def folder(name):
    return lambda place: (place / name).mkdir()


def checkpoint(metadata, name="c.safetensors"):
    def arrange(place):
        from safetensors.numpy import save_file

        save_file({"weight": np.zeros(2, "f4")}, place / name, metadata=metadata)

    return arrange


CHECK = ["evaluate", "--checkpoint", "PLACE/c.safetensors"]
CHECKPOINTS = {
    "not there": (lambda place: None, "found no file"),
    "a folder": (folder("c.safetensors"), "found no file"),
    "empty": (file(b"", "c.safetensors"), "expected a whole safetensors file"),
    "text": (file(b"weights", "c.safetensors"), "expected a whole safetensors file"),
    "half": (file(half(tensors()), "c.safetensors"), "expected a whole safetensors file"),
    "of another program": (file(tensors(), "c.safetensors"), "found other weights"),
    "a recipe that is no JSON": (checkpoint({"recipe": "{"}), "expected a recipe"),
    "a recipe that is a list": (checkpoint({"recipe": "[]"}), "expected a recipe"),
    "a recipe that is a number": (checkpoint({"recipe": "7"}), "expected a recipe"),
    "a recipe that is text": (checkpoint({"recipe": '"x"'}), "expected a recipe"),
    "a recipe with a field unknown": (checkpoint({"recipe": '{"colour": 1}'}), "expected a recipe"),
    "a recipe without fields": (checkpoint({"recipe": "{}"}), "expected a recipe"),
    "a recipe without end": (checkpoint({"recipe": "[" * 99_999}), "expected a recipe"),
}
SHAPELESS = {
    "ids too few": ({"ids": np.arange(3)}, f"expected {N} ids"),
    "ids in a column": ({"ids": np.arange(N)[:, None]}, f"expected {N} ids"),
    "ids that are one number": ({"ids": np.int64(3)}, f"expected {N} ids"),
    "ids with fractions": ({"ids": np.linspace(0, 1, N)}, f"expected {N} ids"),
    "ids too few beside NaN": ({**holding(np.nan), "ids": np.arange(3)}, f"expected {N} ids"),
    "labels that are one number": ({"labels": np.int64(3)}, f"expected {N} labels"),
    "labels in a column": ({"labels": np.ones((N, 1), int)}, f"expected {N} labels"),
    "labels with fractions": ({"labels": np.linspace(0, 1, N)}, "integers or text"),
    "labels of fields": ({"labels": np.zeros(N, [("a", "f4")])}, "integers or text"),
    "vectors that are one number": ({"vectors": np.float32(1)}, "shape (N, D)"),
    "gallery vectors that are one number": (
        {**GALLERY, "gallery_vectors": np.float32(1)},
        "shape (N, D)",
    ),
    "gallery labels that are one number": (
        {**GALLERY, "gallery_labels": np.int64(1)},
        f"expected {N} labels",
    ),
    "gallery ids that are one number": (
        {**GALLERY, "gallery_ids": np.int64(1)},
        f"expected {N} ids",
    ),
    "gallery labels alone": ({"gallery_labels": SOUND["labels"]}, "expected 'gallery_vectors'"),
}
CASES = {
    **{f"npz: {n}": Case(given(), said, file(npz(**a))) for n, (a, said) in ARRAYS.items()},
    **{f"npz: {n}": Case(given(), "mine.npz: ", file(what)) for n, what in DAMAGED.items()},
    "npz: one array": Case(
        given(),
        "cannot be read (one array of numpy.save)",
        lambda p: (
            np.save(p / "mine.npy", SOUND["vectors"]) or (p / "mine.npy").rename(p / "mine.npz")
        ),
    ),
    "npz: a table as text": Case(
        given(), "cannot be read (no whole archive of numpy.savez)", file(DAMAGED["text"])
    ),
    "npz: a pickle": Case(given(), "mine.npz: ", lambda p: (p / "mine.npz").write_bytes(trap(p))),
    "npz: a pickle inside": Case(
        given(),
        "mine.npz: ",
        lambda p: (p / "mine.npz").write_bytes(
            with_npy(header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", trap(p)))
        ),
    ),
    **{
        f"safetensors: {n}": Case(
            given("m.safetensors"), "m.safetensors: ", file(c, "m.safetensors")
        )
        for n, c in SAFE.items()
    },
    **{f"parquet: {n}": Case(given("mine.parquet"), s, do) for n, (do, s) in PARQUET.items()},
    **{
        f"a file that ends in {end}": Case(
            given(f"mine.{end}"),
            "expected a file that ends in .npz",
            lambda p, end=end: (p / f"mine.{end}").write_bytes(trap(p)),
        )
        for end in ENDINGS
    },
    **{
        f"audit: {n}": Case(["audit", "PLACE/mine.npz"], said, file(npz(**a)))
        for n, (a, said) in SHAPELESS.items()
    },
    "npz: not there": Case(given(), "expected a file, found none"),
    "npz: a folder": Case(given(), "expected a file, found none", folder("mine.npz")),
    "npz: a link to itself": Case(
        given(), "mine.npz", lambda p: (p / "mine.npz").symlink_to("mine.npz")
    ),
    **{f"checkpoint: {n}": Case(CHECK, said, do) for n, (do, said) in CHECKPOINTS.items()},
    "checkpoint: a pickle": Case(
        CHECK,
        "expected a whole safetensors file",
        lambda p: (p / "c.safetensors").write_bytes(trap(p)),
    ),
    "embeddings: results that are a file": Case(
        [*given(), "--results", os.devnull], "expected to write there", file(SOUND_NPZ)
    ),
}
assert zipfile.is_zipfile(io.BytesIO(SOUND_NPZ))
