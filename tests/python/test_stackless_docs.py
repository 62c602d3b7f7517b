"""docs/tasklets.md shows programs that run: this one here, the others in the documentation of Rust."""

import pathlib
import re
import textwrap

from stackless_support import run_python

ROOT = pathlib.Path(__file__).resolve().parents[2]


def blocks(language):
    page = (ROOT / "docs/tasklets.md").read_text()
    return re.findall(rf"```{language}\n(.*?)\n```", page, re.DOTALL)


def documented(path):
    """What is in the comments of a file of Rust's."""
    lines = (ROOT / path).read_text().splitlines()
    comments = [re.sub(r"^\s*//[/!] ?", "", line) for line in lines if re.match(r"\s*//[/!]", line)]
    return "\n".join(line for line in comments if not line.startswith("# "))


def test_the_program_in_python_runs():
    (program,) = blocks("python")
    assert run_python(program) == "42\n"


def test_the_programs_in_rust_are_those_that_the_documentation_of_the_crate_runs():
    whole, part = blocks("rust")
    assert whole in documented("runtime/src/tasklet/mod.rs"), "copy the example there to docs/tasklets.md"
    shown = documented("runtime/src/tasklet/native.rs")
    assert textwrap.indent(part, "    ") in shown, "copy the example there to docs/tasklets.md"


def test_the_functions_of_c_are_declared():
    (program,) = blocks("c")
    headers = sorted((ROOT / "glue/capi/include/raddle").glob("stackless_*.h"))
    header = "".join(path.read_text() for path in headers)
    for name in set(re.findall(r"Py(?:Tasklet|Channel)_\w+", program)):
        assert re.search(rf"\b{name}\s*\(", header), name
