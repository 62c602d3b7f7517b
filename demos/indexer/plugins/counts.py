"""Counts words, functions and imports: the figures that tests/indexer_reference.py counts too."""

import ast
import io
import re
import tokenize
import warnings

WORD = re.compile(r"\w+")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
IMPORTS = (ast.Import, ast.ImportFrom)

# What decoding and parsing raise for text that is no Python: a bad cookie or bad bytes, a codec
# that gives no text, a null byte, nesting that is too deep for the parser or for the tree.
NOT_PYTHON = (SyntaxError, ValueError, LookupError, RecursionError, MemoryError, OverflowError)

# Set once, when the plugin is loaded: catch_warnings around each file would change the filters
# under the feet of the other threads.
warnings.simplefilter("ignore", SyntaxWarning)
warnings.simplefilter("ignore", DeprecationWarning)


def decode(data):
    """Return the text of a file as tokenize.open() reads it."""
    buffer = io.BytesIO(data)
    encoding, _ = tokenize.detect_encoding(buffer.readline)
    buffer.seek(0)
    return io.TextIOWrapper(buffer, encoding, line_buffering=True).read()


def index(path, data):
    try:
        text = decode(data)
        tree = ast.parse(text)
    except NOT_PYTHON:
        return {"errors": 1}
    functions = imports = 0
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            functions += 1
        elif isinstance(node, IMPORTS):
            imports += 1
    return {"words": len(WORD.findall(text)), "functions": functions, "imports": imports}
