"""How many cases hypothesis tries, and which files begin first.

`pytest --hypothesis-profile=nightly` tries many more cases.
"""

from hypothesis import settings

settings.register_profile("nightly", max_examples=2000, deadline=None, print_blob=True)

LONG = (
    *("test_learning", "test_docs", "test_slurm", "test_benchmarks", "test_torchrun"),
    *("test_cluster", "test_dist_training", "test_faults"),
)
"""Files that take minutes, the longest first: begun last, one would keep the others waiting."""


def pytest_collection_modifyitems(items):
    files = {name: at for at, name in enumerate(LONG)}
    items.sort(key=lambda item: files.get(item.path.stem, len(LONG)))
