"""A server on this machine that serves files well, or badly in a way that is asked for."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site:
    """What a server serves, how it misbehaves, and what it was asked.

    Args:
        files: name -> bytes.
        ranges: whether it serves a part of a file.
        breaks: how many answers break off after half of what was asked for.
        failures: how many answers are a 503.
        tag: the entity tag; None for none.
        length: a lie about the length, added to the true one.
        shift: a lie about where the part begins, added to the true start.
    """

    def __init__(self, files, **kwargs):
        self.files = files
        self.ranges, self.breaks, self.failures = True, 0, 0
        self.tag, self.length, self.shift = '"one"', 0, 0
        self.asked, self.sent = [], 0
        self.url = ""
        self.__dict__.update(kwargs)

    def count(self, name):
        """Return whether one more of a kind of fault is due, and count it."""
        left = getattr(self, name)
        setattr(self, name, max(0, left - 1))
        return left > 0


def _handler(site):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_HEAD(self):
            body = site.files.get(self.path.removeprefix("/"))
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.close_connection = True

        def do_GET(self):
            wanted = self.headers.get("Range")
            site.asked.append((self.path, wanted, self.headers.get("If-Range")))
            body = site.files.get(self.path.removeprefix("/"))
            if site.count("failures"):
                self.send_error(503)
            elif body is None:
                self.send_error(404)
            else:
                self.answer(body, *self.part(wanted))

        def part(self, wanted):
            """Return where a part begins and ends; None for the whole, or to its end."""
            tag = self.headers.get("If-Range", site.tag)
            if not wanted or not site.ranges or tag != site.tag:
                return None, None
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            return int(first), int(last) + 1 if last else None

        def answer(self, body, first, end):
            if first is not None and first >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            rest = body[first or 0 : end]
            self.send_response(200 if first is None else 206)
            if first is not None:
                last = first + len(rest) - 1
                said = f"bytes {first + site.shift}-{last}/{len(body)}"
                self.send_header("Content-Range", said)
            if site.tag:
                self.send_header("ETag", site.tag)
            self.send_header("Content-Length", str(len(rest) + site.length))
            self.end_headers()
            if site.count("breaks"):
                rest = rest[: len(rest) // 2]
            self.wfile.write(rest)
            site.sent += len(rest)
            self.close_connection = True

    return Handler


@contextmanager
def serving(site):
    """Serve until the end of the context; the site knows its address then."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
