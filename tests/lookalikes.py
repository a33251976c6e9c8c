"""Look-alikes of the public datasets: the official layout and counts, one small picture."""

import os
import pickle

import numpy as np
from PIL import Image
from scipy.io import savemat

LINKS = 30_000


class Pictures:
    """Writes many files that are one: the picture is kept once and linked, as often as may be."""

    def __init__(self, root):
        root.mkdir(parents=True, exist_ok=True)
        self.root = root

    def write(self, paths):
        for folder in {path.parent for path in paths}:
            folder.mkdir(parents=True, exist_ok=True)
        for n, path in enumerate(paths):
            if n % LINKS == 0:
                one = self.root / f".picture{path.name}"
                Image.new("RGB", (8, 6), (200, 30, 30)).save(one, "jpeg")
            os.link(one, path)


def spread(n_items, n_classes, first=1):
    """The labels of `n_items` images, shared out as evenly as can be; classes from `first`."""
    return [first + n * n_classes // n_items for n in range(n_items)]


def halves(sizes, n_classes):
    """Labels of two class-disjoint halves of given sizes."""
    return spread(sizes[0], n_classes) + spread(sizes[1], n_classes, first=n_classes + 1)


def cub200(root, sizes=(5_864, 5_924)):
    """Image numbers are shuffled in the label file: only a join by number gets the labels right."""
    folder = root / "cub200" / "CUB_200_2011"
    labels = halves(sizes, 100)
    paths = [f"{c:03}.Bird_{c}/Bird_{n:04}.jpg" for n, c in enumerate(labels)]
    Pictures(folder).write([folder / "images" / path for path in paths])
    numbered = list(enumerate(labels, 1))
    order = np.random.default_rng(0).permutation(len(labels))
    write_rows(folder / "images.txt", enumerate(paths, 1))
    write_rows(folder / "image_class_labels.txt", (numbered[i] for i in order))
    write_rows(folder / "classes.txt", ((c, f"{c:03}.Bird_{c}") for c in range(1, 201)))
    return folder


def write_rows(path, rows):
    path.write_text("".join(f"{key} {value}\n" for key, value in rows))


def sop(root, sizes=(59_551, 60_502), classes=(11_318, 11_316)):
    folder = root / "sop" / "Stanford_Online_Products"
    pictures = Pictures(folder)
    first = 1
    for name, n_items, n_classes in zip(("train", "test"), sizes, classes, strict=True):
        labels = spread(n_items, n_classes, first)
        paths = [f"chair_final/{name}{n}_0.JPG" for n in range(n_items)]
        lines = [f"{n} {c} 1 {p}" for n, (c, p) in enumerate(zip(labels, paths, strict=True), 1)]
        header = "image_id class_id super_class_id path"
        (folder / f"Ebay_{name}.txt").write_text("\n".join([header, *lines]) + "\n")
        pictures.write([folder / path for path in paths])
        first += n_classes
    return folder


CARS = (8_054, 8_131)


def annotations(path, rows, **more):
    """Write a MATLAB struct array as the Cars196 kit has it."""
    names = list(rows[0])
    table = np.zeros((1, len(rows)), dtype=[(name, object) for name in names])
    for n, row in enumerate(rows):
        for name in names:
            table[name][0, n] = row[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"annotations": table, **more})


def car_names():
    names = np.empty((1, 196), object)
    names[0] = [f"Car {n}" if n != 5 else "Ram C/V Cargo" for n in range(1, 197)]
    return names


def cars_whole(root, sizes=CARS):
    folder = root / "cars196"
    labels = halves(sizes, 98)
    rows = [
        {"relative_im_path": f"car_ims/{n:06}.jpg", "class": c} for n, c in enumerate(labels, 1)
    ]
    annotations(folder / "cars_annos.mat", rows, class_names=car_names())
    Pictures(folder).write([folder / row["relative_im_path"] for row in rows])
    return folder


def car_parts(sizes=CARS):
    """The kit's two folders, which share file names and classes: every second image tests."""
    labels = halves(sizes, 98)
    return {
        part: [
            {"class": c, "fname": f"{n:05}.jpg"} for n, c in enumerate(labels[offset::2], 1)
        ]
        for offset, part in enumerate(("cars_train", "cars_test"))
    }  # fmt: skip


def cars_kit(root, sizes=CARS, nested=False):
    folder = root / "cars196"
    pictures = Pictures(folder)
    files = {"cars_train": "devkit/cars_train_annos.mat", "cars_test": WITH_LABELS}
    for part, rows in car_parts(sizes).items():
        annotations(folder / files[part], rows)
        home = folder / part / part if nested else folder / part
        pictures.write([home / row["fname"] for row in rows])
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": car_names()})
    return folder


WITH_LABELS = "cars_test_annos_withlabels.mat"


def cars_class_folders(root, sizes=CARS):
    folder = root / "cars196"
    names = car_names()[0]
    paths = [
        folder / "car_data" / "car_data" / part.removeprefix("cars_")
        / names[row["class"] - 1].replace("/", "-") / row["fname"]
        for part, rows in car_parts(sizes).items()
        for row in rows
    ]  # fmt: skip
    Pictures(folder).write(paths)
    (folder / "names.csv").write_text("\n".join(names) + "\n")
    return folder


def flowers102(root, n=8_189):
    folder = root / "flowers102"
    Pictures(folder).write([folder / "jpg" / f"image_{i:05}.jpg" for i in range(1, n + 1)])
    labels = np.random.default_rng(1).permutation(spread(n, 102))
    savemat(folder / "imagelabels.mat", {"labels": labels[None].astype(np.uint8)})
    return folder


def pickled(path, rows, **labels):
    """Write a batch as Python 2 pickled it: byte strings for keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {b"data": rows, **{key.encode(): value for key, value in labels.items()}}
    path.write_bytes(pickle.dumps(said, protocol=2))


def rows_of(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 3072), np.uint8)


def cifar10(root, train=50_000, test=10_000):
    folder = root / "cifar10" / "cifar-10-batches-py"
    for n in range(1, 6):
        labels = [i % 10 for i in range(train // 5)]
        pickled(folder / f"data_batch_{n}", rows_of(train // 5, n), labels=labels)
    pickled(folder / "test_batch", rows_of(test), labels=[i % 10 for i in range(test)])
    names = [b"airplane", b"automobile", b"bird", b"cat", b"deer"]
    names += [b"dog", b"frog", b"horse", b"ship", b"truck"]
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": names}, protocol=2))
    return folder


def cifar100(root, train=50_000, test=10_000):
    folder = root / "cifar100" / "cifar-100-python"
    for part, n in (("train", train), ("test", test)):
        fine = [i % 100 for i in range(n)]
        pickled(folder / part, rows_of(n), fine_labels=fine, coarse_labels=[0] * n)
    names = [f"thing {n}".encode() for n in range(100)]
    (folder / "meta").write_bytes(pickle.dumps({b"fine_label_names": names}, protocol=2))
    return folder


def stl10(root, train=5_000, test=8_000, unlabelled=100_000):
    """Sparse files of the right size, with one picture that has a mark in a known place."""
    folder = root / "stl10" / "stl10_binary"
    folder.mkdir(parents=True)
    for name, n in (("train", train), ("test", test), ("unlabeled", unlabelled)):
        with (folder / f"{name}_X.bin").open("wb") as file:
            picture = np.zeros((3, 96, 96), np.uint8)
            picture[0, 5, 7] = 255  # red, column 5, row 7
            file.write(picture.tobytes())
            file.truncate(n * picture.size)
        if name != "unlabeled":
            (1 + np.arange(n) % 10).astype(np.uint8).tofile(folder / f"{name}_y.bin")
    (folder / "class_names.txt").write_text("\n".join(f"thing{n}" for n in range(1, 11)))
    return folder
