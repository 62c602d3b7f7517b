"""Keeps a tally for each thread in threading.local.

A native thread enters Python anew for every file. Its first entry makes the tally, all later ones
find it: there are as many tallies as workers. Were the thread's Python state thrown away between
entries, there would be one tally per file.
"""

import threading

own = threading.local()
tallies = []


class Tally:
    def __init__(self):
        self.files = 0


def begin():
    """Called before the first file."""
    global own
    own = threading.local()
    tallies.clear()


def index(path, data):
    tally = getattr(own, "tally", None)
    if tally is None:
        tally = own.tally = Tally()
        tallies.append(tally)
    tally.files += 1


def finish():
    """Called after the last file: what it returns is printed and goes into the JSON."""
    files = [tally.files for tally in tallies]
    return {"tallies": len(files), "files": sum(files), "largest": max(files, default=0)}
