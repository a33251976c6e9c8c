"""Why a request failed, in a few words."""

import socket

import requests

CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (requests.exceptions.ProxyError, "the proxy did not let it through"),
    (requests.exceptions.SSLError, "the server's certificate does not hold"),
    (socket.gaierror, "host not found"),
    (ConnectionRefusedError, "connection refused"),
    (requests.exceptions.Timeout, "timed out"),
    (TimeoutError, "timed out"),
    (requests.exceptions.ChunkedEncodingError, "the line broke"),
    (ConnectionError, "the line broke"),
    (requests.exceptions.ConnectionError, "host not reachable"),
)
"""What a failed request says in a few words: the first kind that is anywhere in its error."""


def cause_of(error: BaseException) -> str:
    """Return in a few words why a try failed: what lies under the text of the libraries."""
    under: list[BaseException] = []
    left: list[object] = [error]
    while left:
        one = left.pop()
        if isinstance(one, BaseException) and one not in under:
            under.append(one)
            left += [*one.args, one.__cause__, one.__context__, getattr(one, "reason", None)]
    for kind, words in CAUSES:
        if any(isinstance(one, kind) for one in under):
            return words
    return type(error).__name__
