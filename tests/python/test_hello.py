"""The three hello-worlds of README.md: the text is that of demos/hello, and they say hello."""
import os
import pathlib
import re
import shlex
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HELLO = ROOT / "demos/hello"
LANGUAGES = {"c": "hello.c", "rust": "hello.rs", "python": "hello.py"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_readme_shows_the_demo_as_it_is(language):
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(rf"```{language}\n(.*?)```", readme, re.DOTALL)
    source = (HELLO / LANGUAGES[language]).read_text()
    assert source in blocks, f"copy demos/hello/{LANGUAGES[language]} into its block in README.md"


def run(*command, **options):
    done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=900, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_c_and_python_say_hello(tmp_path):
    build = pathlib.Path(os.environ["RADDLE_BUILD"])
    environment = {**os.environ, "PKG_CONFIG_PATH": str(build / "meson-uninstalled")}
    flags = shlex.split(run("pkg-config", "--cflags", "--libs", "raddle-glib-0", env=environment))
    program = tmp_path / "hello"
    run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", HELLO / "hello.c", "-o", program, *flags,
        f"-Wl,-rpath,{build}")
    said = run(program, HELLO).splitlines()
    for name in ("a GThread", "the main thread"):
        assert f"Hello from {name}: greeting 1 of this thread" in said
    assert "2 threads have come through the gate" in said


def test_rust_says_hello():
    said = run("cargo", "run", "--quiet", "-p", "hello", cwd=ROOT)
    assert said.splitlines()[-2:] == ["others may run Python here", "Hello from Rust: 42"]
