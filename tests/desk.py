"""A process that has imported everything, and does `dml-bench` commands for a shell elsewhere.

Run as `python desk.py FOLDER`: writes FOLDER/dml-bench, a program that hands its words, folder,
environment and streams to the desk, which forks a child for each and passes its exit status back.
A reader could not tell: but for the seconds that imports take, and for runs that were made already.
What `train` made, it puts where somebody says the very same words again, unless they name a file.
"""

import json
import os
import shutil
import signal
import socket
import sys
import traceback
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

PROGRAM = """#!{python} -IS
import json, os, socket, sys

with socket.socket(socket.AF_UNIX) as desk:
    desk.connect({address!r})
    said = {{"words": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
    socket.send_fds(desk, [b" "], [0, 1, 2])
    desk.sendall(json.dumps(said).encode())
    desk.shutdown(socket.SHUT_WR)
    raise SystemExit(int(desk.recv(8) or 70))
"""


def warm():
    """Import what commands import on the way; no thread is begun, for a child would miss it."""
    import sklearn.manifold

    from dml_bench import actions, evaluations, listing
    from dml_bench.comparisons import compare
    from dml_bench.data import glyphs
    from dml_bench.jobs import running
    from dml_bench.methods import METHODS
    from dml_bench.pages import page

    used = actions, compare, evaluations, glyphs, listing, page, running, sklearn.manifold
    return *used, *(METHODS[name] for name in METHODS)


def serve(folder):
    """Take one command after the other; each child ends by itself."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    address = str(folder / "desk")
    program = folder / "dml-bench"
    with socket.socket(socket.AF_UNIX) as desk:
        desk.bind(address)
        desk.listen()
        program.write_text(PROGRAM.format(python=sys.executable, address=address))
        program.chmod(0o755)
        print("ready", flush=True)
        while True:
            asked, _ = desk.accept()
            if os.fork() == 0:
                answer(asked, folder / "kept")
            asked.close()


def answer(asked, kept):
    """Do one command and say how it ended; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    text, streams, _, _ = socket.recv_fds(asked, 1, 3)
    while part := asked.recv(1 << 16):
        text += part
    said = json.loads(text)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(said["folder"])
    os.environ.clear()
    os.environ.update(said["environment"])
    status = 70
    try:
        status = command(said["words"], kept)
    except BaseException:
        traceback.print_exc()
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    asked.sendall(str(status).encode())
    os._exit(0)


def command(words, kept):
    """Return how a command ends, with the runs of its like before it, and its own kept after it."""
    from dml_bench import cli

    sys.argv = ["dml-bench", *words]
    mine = kept / sha256(json.dumps(words).encode()).hexdigest()
    runs = Path("results/runs")
    alike = words[:1] == ["train"] and not any(".py" in word or ":" in word for word in words)
    if alike and mine.is_dir():
        shutil.copytree(mine, runs, dirs_exist_ok=True)
    before = set(runs.glob("*"))
    try:
        status = cli.main(words)
    except SystemExit as left:
        status = left.code or 0
    if alike and status == 0:
        for run in set(runs.glob("*")) - before:
            shutil.copytree(run, mine / run.name)
    return status


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
