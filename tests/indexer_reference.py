#!/usr/bin/env python3
"""Count what demos/indexer counts, one file after the other and without raddle.

    indexer_reference.py [PATH]      (default: the standard library)

Prints one JSON object. To compare with the demo, run it with the Python that the demo embeds: what
parses, and where the standard library lies, differs from version to version.
"""

import ast
import hashlib
import json
import os
import re
import sys
import sysconfig
import tokenize
import warnings


def python_files(root):
    """Yield the regular files named *.py under root, links not followed."""
    folders = [root]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False) and entry.name.endswith(".py"):
                    yield entry.path


def measure(path):
    """Return words, functions and imports of one file, or None if it is no Python text."""
    try:
        with tokenize.open(path) as file:
            text = file.read()
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError, LookupError, RecursionError, MemoryError, OverflowError):
        return None
    nodes = [type(node) for node in ast.walk(tree)]
    return {
        "words": sum(1 for _ in re.finditer(r"\w+", text)),
        "functions": nodes.count(ast.FunctionDef) + nodes.count(ast.AsyncFunctionDef),
        "imports": nodes.count(ast.Import) + nodes.count(ast.ImportFrom),
    }


def headline_raises(data):
    """Say whether demos/indexer/plugins/headline.py raises on a file with these bytes."""
    lines = data.splitlines()
    return not lines or not lines[0].isascii()


def index(root):
    names = ("files", "words", "functions", "imports", "errors", "bytes", "lines", "headline_errors")
    totals = dict.fromkeys(names, 0)
    digests = []
    for path in python_files(root):
        totals["files"] += 1
        for name, count in (measure(path) or {"errors": 1}).items():
            totals[name] += count
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            continue
        totals["bytes"] += len(data)
        totals["lines"] += data.count(b"\n")
        totals["headline_errors"] += headline_raises(data)
        digests.append(hashlib.sha256(data).digest())
    totals["duplicates"] = len(digests) - len(set(digests))
    return totals


def main():
    if len(sys.argv) > 2:
        sys.exit("usage: indexer_reference.py [PATH]")
    root = sys.argv[1] if len(sys.argv) == 2 else sysconfig.get_path("stdlib")
    if not os.path.isdir(root):
        sys.exit(f"indexer_reference.py: {root} is not a folder")
    warnings.simplefilter("ignore")
    print(json.dumps(index(root)))


if __name__ == "__main__":
    main()
