"""Counts scripts by their first line. Careless on purpose: it raises on some files.

An empty file has no first line (IndexError), and a first line need not be ASCII
(UnicodeDecodeError). The indexer reports both, counts them and goes on.
"""


def index(path, data):
    first = data.splitlines()[0].decode("ascii")
    return {"scripts": int(first.startswith("#!"))}
