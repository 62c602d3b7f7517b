"""docs/relay.md shows the programs as they are tested."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = {"c": "tests/c/pool.c", "rust": "tests/rust/relay_pool.rs"}


@pytest.mark.parametrize("language", PROGRAMS)
def test_the_page_shows_the_program_as_it_is(language):
    page = (ROOT / "docs/relay.md").read_text()
    blocks = re.findall(rf"```{language}\n(.*?)\n```", page, re.DOTALL)
    program = (ROOT / PROGRAMS[language]).read_text()
    shown = re.search(r"docs/relay.md: from here.*?\n(.*)\n[^\n]*docs/relay.md: to here", program, re.DOTALL)
    assert blocks == [shown[1]], f"copy what is between the marks in {PROGRAMS[language]} to docs/relay.md"
