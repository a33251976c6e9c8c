"""A process that has imported everything, and forks a child for each command that a test gives it.

Run as `python nursery.py`: reads a job a line (JSON), writes a line with what became of it. A child
may be ended by SIGKILL at the n-th line of Python of a stage, or so many seconds after its begin.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from functools import wraps
from importlib import import_module

STAGES = {
    "packing": [("dml_bench.data.pack", "_write")],
    "training": [("dml_bench.engine", "Training._run_epoch")],
    "checkpointing": [
        ("dml_bench.checkpoint", "save_state"),
        ("dml_bench.checkpoint", "save_weights"),
        ("dml_bench.checkpoint", "drop_state"),
    ],
    "embedding": [("dml_bench.bench", "embeddings")],
    "storing": [
        ("dml_bench.store", "Run.save_embeddings"),
        ("dml_bench.store", "Run.save_neighbours"),
        ("dml_bench.store", "Run.write_curve"),
        ("dml_bench.store", "Run.finish"),
    ],
    "writing": [("dml_bench.bench", "run")],
}
"""What belongs to each stage of a run: module and function."""


class Stage:
    """Counts the lines of Python and the seconds that a child spends in a stage.

    Args:
        name: of `STAGES`.
        line: end the process before this line of the stage; 0 ends it never.
        seconds: end the process so long after the stage first began.
        only: names of files; the lines of others are not counted. A line of the first counts each
            time (it writes one file after the other), one of the rest only the first two times.
    """

    def __init__(self, name, line=0, seconds=0.0, only=()):
        self.line, self.delay, self.only = line, seconds, tuple(only)
        self.met = Counter()
        self.lines, self.seconds, self.begun = 0, 0.0, False
        for module, function in STAGES[name]:
            self._watch(module, function)

    def _watch(self, module, function):
        *holder, name = function.split(".")
        place = import_module(module)
        for part in holder:
            place = getattr(place, part)
        inner = getattr(place, name)

        @wraps(inner)
        def watched(*args, **kwargs):
            with self._inside():
                return inner(*args, **kwargs)

        setattr(place, name, watched)

    @contextmanager
    def _inside(self):
        if self.delay and not self.begun:
            kill_later(self.delay)
        self.begun, begun = True, time.monotonic()
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(None)
            threading.settrace(None)
            self.seconds += time.monotonic() - begun

    def _counts(self, frame):
        place = (frame.f_code.co_filename, frame.f_lineno)
        self.met[place] += bool(self.only)
        return self.met[place] <= 2 or place[0].endswith(self.only[0])

    def _trace(self, frame, event, argument):
        if frame.f_code.co_filename.startswith("<frozen") or frame.f_code.co_name == "<module>":
            return None  # an import, not the stage
        if self.only and not frame.f_code.co_filename.endswith(self.only):
            return None
        if event == "line" and self._counts(frame):
            self.lines += 1
            if self.lines == self.line:
                os.kill(os.getpid(), signal.SIGKILL)
        return self._trace


def kill_later(seconds):
    """Let a process of its own end this one: no thread of this one must get its turn for it."""
    me = os.getpid()
    if os.fork() == 0:
        time.sleep(seconds)
        if os.getppid() == me:
            os.kill(me, signal.SIGKILL)
        os._exit(0)


def live(job):
    """Do what a job says, in a child; never returns."""
    handle = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(handle, stream)
    sys.stdout = sys.stderr = os.fdopen(handle, "w", buffering=1)
    status = 70
    try:
        from dml_bench import cli, engine

        engine.SAVE_SECONDS = job.get("save_seconds", 0.0)
        stage = Stage(**job["stage"]) if "stage" in job else None
        if job.get("uid"):
            os.setgid(job["uid"])
            os.setuid(job["uid"])
        exec(job.get("before", ""), {})
        status = cli.main(job["words"])
        if stage:
            about = {"lines": stage.lines, "seconds": stage.seconds}
            print(json.dumps(about), file=sys.stdout)
    except SystemExit as left:
        status = left.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def warm():
    """Import what a run imports on the way, so that a child has only its own work to do."""
    import faiss
    import safetensors.torch
    import torch

    from dml_bench import actions

    for library in (torch, faiss):
        getattr(library, "set_num_threads", getattr(library, "omp_set_num_threads", None))(1)
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1).step()
    return actions, safetensors


def serve():
    warm()
    alive = {}
    print("ready", flush=True)
    for line in sys.stdin:
        jobs = json.loads(line)
        for job in jobs:
            child = os.fork()
            if child == 0:
                sys.stdin.close()
                live(job)
            alive[child] = job["log"]
        status = {}
        while alive:
            child, code = os.wait()
            if child in alive:
                status[alive.pop(child)] = os.waitstatus_to_exitcode(code)
        print(json.dumps([status[job["log"]] for job in jobs]), flush=True)


if __name__ == "__main__":
    serve()
