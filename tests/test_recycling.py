"""Memory that a tensor gives back and the next one takes."""

import platform
import subprocess
import sys

import pytest

PAGES = """
import ctypes, resource
from dml_bench.recycling import recycle

library, many = ctypes.CDLL(None), ctypes.c_size_t(80_000_000)
library.malloc.restype = ctypes.c_void_p

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    taken = ctypes.c_void_p(library.malloc(many))
    ctypes.memset(taken, 1, many.value)
    library.free(taken)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

pages()
wasteful = pages()
recycle()
pages()
print(wasteful, pages())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than GNU's")
def test_what_was_given_back_is_taken_again():
    done = subprocess.run([sys.executable, "-c", PAGES], capture_output=True, text=True, check=True)
    wasteful, kept = map(int, done.stdout.split())
    assert wasteful >= 30
    assert kept <= wasteful / 10
