"""What a result was made with: versions, processor, threads. Never a host, a user or a path."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from dml_bench import dist
from dml_bench.errors import RecipeError

PACKAGES = (
    "dml_bench",
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "scipy",
    "faiss-cpu",
    "scikit-learn",
    "pytorch-metric-learning",
    "pillow",
    "matplotlib",
)
BF16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16", "svebf16"}
FULL_PATH = re.compile(r"""(?<![\w.~-])(?:~[\w.-]*|[A-Za-z]:)?[\\/][^,;"']*""")


def environment() -> dict[str, Any]:
    """Return what decides speed and the last bits of a number.

    Returns:
        commit and dirty (None where this is no checkout), packages, python, platform, processor,
        bf16_flags, cores, threads, processes (of several), device, the command, peak_memory_mib and
        (of an accelerator) peak_device_memory_mib since `forget_peaks`.

    Example:
        >>> environment()["python"] == platform.python_version()
        True
    """
    import torch  # here, so that a table is read without it

    name, flags = _processor()
    gpu = torch.cuda.is_available()
    return {
        **checkout(),
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": name,
        "bf16_flags": sorted(flags & BF16_FLAGS),
        "cores": _cores(),
        "threads": torch.get_num_threads(),
        **({"processes": dist.world()} if dist.world() > 1 else {}),
        "device": torch.cuda.get_device_name() if gpu else "cpu",
        "peak_memory_mib": _peak_memory(),
        **({"peak_device_memory_mib": _mib(torch.cuda.max_memory_allocated())} if gpu else {}),
        "command": command(sys.argv),
    }


def forget_peaks() -> None:
    """Count peak memory from now on, where the system lets a process do that: a run's own peak."""
    import torch

    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def command(arguments: Sequence[str]) -> str:
    """Return a command line that can be shown to anybody: full paths become PATH.

    Example:
        >>> command(["/opt/bin/dml-bench", "run", "--data-root=/mnt/me/data", "../here"])
        'dml-bench run --data-root=PATH ../here'
    """
    program = re.split(r"[\\/]", arguments[0])[-1] if arguments else ""
    return " ".join([program, *(FULL_PATH.sub("PATH", part) for part in arguments[1:])])


def device_of(wanted: str) -> str:
    """Return "cpu" or "cuda" for "auto", "cpu" or "cuda".

    Raises:
        RecipeError: another word, or no accelerator where one is asked for.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise RecipeError(f"--device: expected auto, cpu or cuda, found '{wanted}'")
    if wanted == "cpu":
        return wanted
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise RecipeError("--device cuda: expected an accelerator, found none; take cpu or auto")
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(device: str) -> str:
    """Return what a device is called: the accelerator's name, or "cpu"."""
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


@cache
def checkout() -> dict[str, Any]:
    """Return commit and dirty as they were when this process first asked: its code is of then.

    Dirty is a checkout with changes, or with a file of the package that git does not know; both
    are None where this is no checkout.
    """
    return _checkout(Path(__file__).resolve().parents[1])


def _checkout(root: Path) -> dict[str, Any]:
    """Ask git about this very checkout, not about one that happens to lie around it."""
    if not (root / ".git").exists() or _git(root, "rev-parse", "--show-prefix") != "":
        return {"commit": None, "dirty": None}
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    strangers = _git(root, "ls-files", "--others", "--exclude-standard", "--", "dml_bench")
    known = changes is not None and strangers is not None
    return {"commit": commit, "dirty": bool(changes or strangers) if known else None}


def _git(root: Path, *words: str) -> str | None:
    """Return what git says; None where there is no git, or no answer."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - the words are ours
            [git, "-C", str(root), *words], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def kind(noted: Mapping[str, Any]) -> str | None:
    """Return the kind of processor that an environment notes; None where it notes none.

    Args:
        noted: what `environment` returned, when a result was made.

    Example:
        >>> kind({"processor": "AMD EPYC", "bf16_flags": ["avx512_bf16"]})
        'AMD EPYC with avx512_bf16'
        >>> kind({"processor": "AMD EPYC", "bf16_flags": []}), kind({})
        ('AMD EPYC', None)
    """
    name, fast = noted.get("processor"), noted.get("bf16_flags")
    return f"{name} with {' and '.join(fast)}" if name and fast else name


def processor() -> str:
    """Return the processor's name, as far as the system tells."""
    return _processor()[0]


def flags() -> set[str]:
    """Return the processor's flags; none where the system does not tell them."""
    return _processor()[1]


def _processor() -> tuple[str, set[str]]:
    """Return the processor's name and its flags, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    pairs = (line.partition(":") for line in reversed(lines))
    said = {name.strip().lower(): value.strip() for name, _, value in pairs}
    flags = said.get("flags", said.get("features", ""))
    return said.get("model name") or platform.processor() or platform.machine(), set(flags.split())


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _peak_memory() -> float | None:
    """Return the largest memory of this process in MiB, where the system counts it."""
    if sys.platform == "win32":
        return None
    with suppress(OSError, ValueError, IndexError):
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return _mib(1024 * int(status.partition("VmHWM:")[2].split()[0]))
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _mib(peak * (1 if sys.platform == "darwin" else 1024))


def _mib(count: int) -> float:
    return round(count / 2**20, 1)
