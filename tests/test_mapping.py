"""Large arrays stay in their file, at whatever address, and give the bits that a copy gives."""

import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.torch import save_file

from dml_bench import mapping
from dml_bench.errors import EmbeddingsError, StoreError
from dml_bench.files import load_embeddings
from dml_bench.mapping import of_npz, of_safetensors
from dml_bench.memory import mapped
from dml_bench.scoring import report
from dml_bench.types import Embeddings, unit_rows
from dml_bench.types import vectors as vectors_module


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch):
    monkeypatch.setattr(mapping, "MAPPED", 1)


def unit(size=300, dim=7, seed=0):
    rows = np.random.default_rng(seed).normal(size=(size, dim)).astype(np.float32)
    return Embeddings(rows, np.arange(size) // 3)


KINDS = [np.float16, np.float32, np.float64, np.int32, np.int64, ">f4", "U5", bool]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_every_kind_come_back_from_an_npz_where_they_lie(kind, order, tmp_path):
    saved = np.asarray(np.arange(24).reshape(4, 6).astype(kind), order=order)
    np.savez(tmp_path / "mine.npz", first=np.ones(3), saved=saved)
    found = of_npz(tmp_path / "mine.npz")["saved"]
    assert mapped(found)
    assert found.dtype == saved.dtype
    assert np.array_equal(found, saved)


def test_what_is_compressed_or_small_is_read(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "mine.npz", rows=np.eye(4))
    assert not mapped(of_npz(tmp_path / "mine.npz")["rows"])
    np.savez(tmp_path / "mine.npz", rows=np.eye(4))
    monkeypatch.setattr(mapping, "MAPPED", 1000)
    assert not mapped(of_npz(tmp_path / "mine.npz")["rows"])


def test_every_byte_is_looked_at_before_it_is_trusted(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, vectors=np.eye(40), labels=np.arange(40))
    sound = path.read_bytes()
    for at in (200, 5000, len(sound) - 2000):
        spoilt = bytearray(sound)
        spoilt[at] ^= 1
        path.write_bytes(spoilt)
        with pytest.raises(EmbeddingsError, match="cannot be read"):
            load_embeddings(path)
    objects = np.array([{"a": 1}], dtype=object)
    np.savez(path, vectors=objects, labels=np.arange(1))
    with pytest.raises(EmbeddingsError, match="cannot be read"):
        load_embeddings(path)


def test_a_header_of_another_size_than_its_data_is_refused(tmp_path):
    np.savez(tmp_path / "mine.npz", vectors=np.eye(4), labels=np.arange(4))
    with zipfile.ZipFile(tmp_path / "mine.npz") as archive:
        content = archive.read("vectors.npy").replace(b"(4, 4)", b"(9, 9)")
    with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
        archive.writestr("vectors.npy", content)
    with pytest.raises(EmbeddingsError, match="cannot be read"):
        load_embeddings(tmp_path / "bad.npz")


def test_safetensors_stay_in_their_file_but_for_what_numpy_lacks(tmp_path):
    tensors = {
        "vectors": torch.randn(6, 4),
        "labels": torch.arange(6),
        "gallery_vectors": torch.randn(6, 4).bfloat16(),
        "gallery_labels": torch.arange(6, dtype=torch.int32),
    }
    save_file(tensors, tmp_path / "mine.safetensors")
    found = of_safetensors(tmp_path / "mine.safetensors")
    kept = {name for name, values in found.items() if mapped(values)}
    assert kept == {"vectors", "labels", "gallery_labels"}
    for name, tensor in tensors.items():
        assert np.array_equal(found[name], tensor.double().numpy())


@pytest.mark.parametrize("form", ["npz", "safetensors"])
def test_unit_rows_of_a_file_are_evaluated_where_they_lie_to_the_same_bits(form, tmp_path):
    items = unit()
    path = tmp_path / f"mine.{form}"
    if form == "npz":
        np.savez(path, vectors=items.vectors, labels=items.labels)
    else:
        tensors = {"vectors": items.vectors, "labels": items.labels}
        save_file({n: torch.from_numpy(a) for n, a in tensors.items()}, path)
    found, _ = load_embeddings(path)
    assert mapped(found.vectors)
    assert form == "safetensors" or not found.vectors.flags.aligned  # the harder case is tried
    names = ["recall@1", "recall@200", "map@r", "nmi"]
    assert report(found, found, names) == report(items, items, names)


def test_rows_that_are_no_unit_rows_are_made_so(tmp_path):
    np.savez(tmp_path / "mine.npz", vectors=2 * unit().vectors, labels=unit().labels)
    found, _ = load_embeddings(tmp_path / "mine.npz")
    assert not mapped(found.vectors)
    assert np.abs(found.vectors - unit().vectors).max() < 1e-6


def test_unit_rows_come_back_as_they_are_and_others_as_a_copy():
    rows = unit().vectors
    assert unit_rows(rows) is rows
    assert not np.shares_memory(unit_rows(rows[:, ::-1]), rows)  # not one behind the other
    longer = rows.copy()
    longer[200] *= 3
    made = unit_rows(longer)
    assert not np.shares_memory(made, longer)
    assert np.array_equal(np.delete(made, 200, 0), np.delete(rows, 200, 0))
    assert np.linalg.norm(longer[200]) == pytest.approx(3)


@settings(max_examples=100, deadline=None)
@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64]),
        st.tuples(st.integers(1, 12), st.integers(1, 9)),
        elements=st.floats(0.25, 4, width=32),
    ),
    st.integers(0, 12),
)
def test_the_block_in_which_a_row_is_looked_at_changes_no_bit(rows, kept):
    rows[:kept] = unit_rows(rows)[:kept]
    whole, room = unit_rows(rows), vectors_module.ROOM
    vectors_module.ROOM = 1
    try:
        assert unit_rows(rows).tobytes() == whole.tobytes()
    finally:
        vectors_module.ROOM = room


def test_all_bad_rows_are_counted_wherever_they_are(monkeypatch):
    monkeypatch.setattr(vectors_module, "ROOM", 7)
    rows = unit().vectors.copy()
    rows[[5, 250]] = 0
    with pytest.raises(EmbeddingsError, match=r"found 2 zero rows \(first: row 5\)"):
        unit_rows(rows)
    rows[[6, 7, 299], 3] = [np.nan, np.inf, np.nan]
    with pytest.raises(EmbeddingsError, match=r"infinity in 3 rows \(first: row 6\)"):
        unit_rows(rows)


def test_a_run_maps_what_it_stored(tmp_path):
    from test_store import RECIPE, Run

    run, items = Run(tmp_path, RECIPE), unit()
    run.save_embeddings(items)
    query, gallery = run.load_embeddings()
    assert query is gallery
    assert mapped(query.vectors)
    assert query.vectors.tobytes() == items.vectors.tobytes()
    content = bytearray((run.folder / "embeddings.npz").read_bytes())
    content[500] ^= 1
    (run.folder / "embeddings.npz").write_bytes(content)
    with pytest.raises(StoreError, match="expected what this run saved, found BadZipFile"):
        run.load_embeddings()
