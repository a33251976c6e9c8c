"""Threads in the place of processes: what as many as one likes do together, in one memory."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from dml_bench import dist, exchange


class Place(threading.local):
    """A place for each thread; one that was given none is alone."""

    rank, world, begun = 0, 1, False


def together(monkeypatch, world, act):
    """Let so many processes act; return what each returned, in order.

    What they exchange is copied as between processes. Their imports and threads are of one.
    """
    place, meeting, said = Place(), threading.Barrier(world), [None] * world

    def shown(own):
        said[place.rank] = own
        meeting.wait()
        everybody = [*said]
        meeting.wait()
        return everybody

    def complete(array, step=1):
        for rows, theirs in zip(dist.parts(len(array), step), shown(array), strict=True):
            if theirs is not array:
                array[rows] = theirs[rows]
        meeting.wait()

    def collected(array):
        return [np.array(each[dist.part(len(array))]) for each in shown(array)]

    def acts(rank):
        place.rank, place.world = rank, world
        try:
            return act()
        except BaseException:
            meeting.abort()
            raise

    with monkeypatch.context() as patch:
        patch.setattr(dist, "_here", place)
        patch.setattr(exchange, "complete", complete)
        patch.setattr(
            exchange,
            "collected",
            lambda a: [np.array(each[dist.part(len(a))]) for each in shown(a)],
        )
        patch.setattr(dist, "first", lambda act: shown(act() if dist.leader() else None)[0])
        with ThreadPoolExecutor(world) as pool:
            return [*pool.map(acts, range(world))]
