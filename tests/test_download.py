"""Fetching one file from a server that breaks off, lies, or serves something else."""

import errno
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest
import requests
from server import Site, serving

from dml_bench.data import download as module
from dml_bench.data import transfer
from dml_bench.data.download import download, verify
from dml_bench.data.origin import Archive
from dml_bench.errors import DataError

CONTENT = np.random.default_rng(0).bytes(1_500_000)
OTHER = np.random.default_rng(1).bytes(1_500_000)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(module, "WAITS", (0.0, 0.0))


@pytest.fixture
def site():
    with serving(Site({"birds.tgz": CONTENT})) as site:
        yield site


def archive(*sites, content=CONTENT):
    urls = tuple(f"{site.url}/birds.tgz" for site in sites)
    return Archive("birds.tgz", urls, f"md5:{hashlib.md5(content).hexdigest()}", 2)


def fetch(folder, *sites):
    said = []
    path = download(archive(*sites), folder, say=said.append)
    assert path.read_bytes() == CONTENT
    assert sorted(os.listdir(folder)) == ["birds.tgz"]
    return said


def refusal(folder, *sites):
    with pytest.raises(DataError) as caught:
        download(archive(*sites), folder, say=lambda line: None)
    assert "\n" not in str(caught.value)
    assert not (folder / "birds.tgz").exists()
    return str(caught.value)


def begun(wanted):
    """At which byte a request for a range begins."""
    return int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0


def few_bytes_twice(*sites, breaks=1):
    """Each break costs the block that was not full, and no more."""
    return sum(site.sent for site in sites) < len(CONTENT) + breaks * transfer.BLOCK


def test_a_file_is_fetched_once(site, tmp_path):
    fetch(tmp_path / "new", site)
    assert "there already, its digest holds" in fetch(tmp_path / "new", site)[0]
    assert len(site.asked) == 1


def test_a_line_that_breaks_is_gone_on_with_where_it_broke(site, tmp_path):
    site.breaks = 2
    fetch(tmp_path, site)
    first, second, third = (begun(wanted) for _, wanted, _ in site.asked)
    assert first == 0
    assert 750_000 - transfer.BLOCK < second <= 750_000
    assert 1_125_000 - 2 * transfer.BLOCK < third <= 1_125_000


def test_what_one_call_fetched_the_next_goes_on_with(site, tmp_path):
    site.breaks = 9
    message = refusal(tmp_path, site)
    assert "bytes are kept; call again to go on, or put the archive birds.tgz into" in message
    site.breaks = 0
    fetch(tmp_path, site)
    assert few_bytes_twice(site, breaks=3)


def test_a_file_that_changed_on_the_server_is_begun_anew(site, tmp_path):
    site.files["birds.tgz"], site.breaks, site.tag = OTHER, 9, '"other"'
    refusal(tmp_path, site)
    site.files["birds.tgz"], site.breaks, site.tag = CONTENT, 0, '"one"'
    fetch(tmp_path, site)
    assert site.asked[-1][2] == '"other"'


def test_a_server_without_ranges_serves_the_whole_again(site, tmp_path):
    site.breaks, site.ranges = 1, False
    fetch(tmp_path, site)
    assert site.sent == len(CONTENT) * 3 // 2


def test_a_server_without_tags_is_gone_on_with_and_the_digest_decides(site, tmp_path):
    site.breaks, site.tag = 1, None
    fetch(tmp_path, site)
    assert few_bytes_twice(site)


def test_a_part_that_is_whole_already_is_accepted(site, tmp_path):
    (tmp_path / "birds.tgz.part").write_bytes(CONTENT)
    fetch(tmp_path, site)
    assert site.sent == 0


def test_a_part_that_is_too_long_is_begun_anew(site, tmp_path):
    (tmp_path / "birds.tgz.part").write_bytes(CONTENT + b"more")
    fetch(tmp_path, site)
    assert site.sent == len(CONTENT)


def test_a_length_that_is_announced_too_long_is_a_broken_line(site, tmp_path):
    site.length = 1_000
    assert "birds.tgz" in refusal(tmp_path, site)


def test_a_length_that_is_announced_too_short_never_passes_for_the_file(site, tmp_path):
    site.length = -1_000
    assert "expected md5:" in refusal(tmp_path, site)


def test_a_part_from_another_place_than_asked_for_is_not_written(site, tmp_path):
    site.breaks, site.shift = 1, 7
    message = refusal(tmp_path, site)
    kept = (tmp_path / "birds.tgz.part").read_bytes()
    said = f"asked for bytes from {len(kept)}, the server sent 'bytes {len(kept) + 7}-"
    assert said in message
    assert kept
    assert kept == CONTENT[: len(kept)]


def test_a_wrong_file_is_thrown_away_and_both_digests_are_said(site, tmp_path):
    site.files["birds.tgz"] = OTHER
    message = refusal(tmp_path, site)
    found = hashlib.md5(OTHER).hexdigest()
    assert f"expected {archive(site).digest}, found md5:{found}; thrown away" in message
    assert os.listdir(tmp_path) == []


def test_a_web_page_in_place_of_the_file_is_called_one(site, tmp_path):
    site.files["birds.tgz"] = b"\n<!DOCTYPE html><p>Sign in"
    assert "the server sent a web page; expected md5:" in refusal(tmp_path, site)


def test_a_server_that_is_busy_is_asked_again(site, tmp_path):
    site.failures = 2
    said = fetch(tmp_path, site)
    assert sum("answered 503" in line for line in said) == 1  # the cause is said once
    assert sum("again in" in line for line in said) == 2


def test_a_file_that_is_gone_is_not_asked_for_again(site, tmp_path):
    del site.files["birds.tgz"]
    assert "the server answered 404" in refusal(tmp_path, site)
    assert len(site.asked) == 1


def test_the_next_address_is_tried_and_goes_on_with_the_part(site, tmp_path):
    with serving(Site({"birds.tgz": CONTENT}, breaks=9)) as first:
        fetch(tmp_path, first, site)
        assert few_bytes_twice(first, site, breaks=3)


def test_an_address_that_nobody_answers_is_said(tmp_path):
    with serving(Site({})) as gone:
        pass
    assert "3 tries" in refusal(tmp_path, gone)


def test_a_file_that_the_user_put_there_is_used_without_asking(site, tmp_path):
    (tmp_path / "birds.tgz").write_bytes(CONTENT)
    fetch(tmp_path, site)
    assert site.asked == []


def test_another_file_of_that_name_is_refused_and_kept(site, tmp_path):
    (tmp_path / "birds.tgz").write_bytes(OTHER)
    with pytest.raises(DataError, match="delete it or move it away"):
        download(archive(site), tmp_path, say=lambda line: None)
    assert (tmp_path / "birds.tgz").read_bytes() == OTHER
    assert site.asked == []


def test_a_disk_without_room_is_said_before_anything_is_written(site, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("", (), {"free": 1_000_000}))
    assert "expected 2 MB of free space, found 1 MB" in refusal(tmp_path, site)
    assert os.listdir(tmp_path) == []


def test_a_download_that_is_killed_goes_on(site, tmp_path):
    """SIGKILL in the middle of a slow file; the next call asks for the rest only."""
    site.breaks, site.length = 1, 0
    code = (
        "import sys, pathlib\n"
        "from dml_bench.data import download as d\n"
        "from dml_bench.data.origin import Archive\n"
        "d.WAITS = (600.0,)\n"
        f"d.download({archive(site)!r}, pathlib.Path(sys.argv[1]), say=print)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    part = tmp_path / "birds.tgz.part"
    while site.breaks or not part.exists():
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    kept = part.stat().st_size
    fetch(tmp_path, site)
    assert begun(site.asked[-1][1]) == kept


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_digest_is_compared_with_the_kind_that_is_named(tmp_path, kind):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    right = f"{kind}:{hashlib.new(kind, b'abc').hexdigest()}"
    assert verify(path, right) == ""
    assert verify(path, f"{kind}:00") == right


@pytest.mark.parametrize("folder", ["file", "file/below", "/proc/nowhere"])
def test_a_folder_that_cannot_be_made_is_refused_in_one_line(site, tmp_path, folder):
    (tmp_path / "file").write_bytes(b"")
    message = refusal(tmp_path / folder, site)
    assert message.startswith(f"{tmp_path / folder}: expected a folder that can be written, found:")
    assert "--data-root" in message
    assert site.asked == []


def test_a_disk_that_fills_up_is_said_and_the_server_is_not_blamed(site, tmp_path, monkeypatch):
    @contextmanager
    def full(part, start):
        def append(block):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        yield append

    monkeypatch.setattr(transfer, "_from", full)
    message = refusal(tmp_path, site)
    assert message.startswith(f"{tmp_path}: expected a folder that can be written, found: No space")
    assert len(site.asked) == 1


def test_the_cause_of_a_failure_is_said_once_in_a_few_words(tmp_path):
    with serving(Site({})) as gone:
        pass
    lines = []
    with pytest.raises(DataError) as caught:
        download(archive(gone, gone), tmp_path, say=lines.append)
    said = str(caught.value)
    assert said.count("connection refused (3 tries)") == 2  # two addresses
    assert said.count(gone.url) == 2
    assert "HTTPConnection" not in said
    assert f"put the archive birds.tgz into {tmp_path} by hand" in said
    assert lines[1:3] == ["birds.tgz: connection refused; again in 0 s", "birds.tgz: again in 0 s"]


@pytest.mark.parametrize(
    ("under", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "host not found"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "host not reachable"),
        (requests.ReadTimeout("HTTPConnectionPool(...)"), "timed out"),
        (requests.exceptions.SSLError("..."), "the server's certificate does not hold"),
        (requests.exceptions.ProxyError("..."), "the proxy did not let it through"),
        (ConnectionResetError(), "the line broke"),
    ],
)
def test_a_cause_is_found_under_what_the_libraries_say(tmp_path, monkeypatch, under, words):
    def get(*args, **kwargs):
        raise requests.ConnectionError(under) from under

    monkeypatch.setattr(module.requests, "get", get)
    where = Archive("a.tgz", ("http://nowhere.invalid/a.tgz",), "md5:0", 1)
    with pytest.raises(DataError, match=f"http://nowhere.invalid/a.tgz: {words} \\(3 tries\\)"):
        download(where, tmp_path, say=lambda line: None)


def test_an_archive_by_another_name_is_recognised_by_its_digest(site, tmp_path):
    (tmp_path / "birds (1).tgz").write_bytes(CONTENT)
    (tmp_path / "a copy of another.tgz").write_bytes(OTHER)
    said = []
    path = download(archive(site), tmp_path, say=said.append)
    assert path.read_bytes() == CONTENT
    assert said == ["birds (1).tgz: is birds.tgz by its digest; renamed"]
    assert sorted(os.listdir(tmp_path)) == ["a copy of another.tgz", "birds.tgz"]
    assert site.asked == []


def test_a_file_of_another_size_is_not_even_read(site, tmp_path, monkeypatch):
    (tmp_path / "large.tgz").write_bytes(bytes(5_000_000))
    monkeypatch.setattr(module, "verify", lambda path, digest: pytest.fail(f"read {path}"))
    assert module._alike(archive(site), tmp_path) == []
