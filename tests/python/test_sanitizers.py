"""Sanitizers and valgrind know the stacks of tasklets: a host that jumps and sleeps on them is clean."""
import os
import pathlib
import shlex
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent
BUILD = pathlib.Path(os.environ["RADDLE_BUILD"])


def build(tmp_path, *flags):
    """The probe, compiled with flags; skips where the compiler has no such."""
    environment = {**os.environ, "PKG_CONFIG_PATH": str(BUILD / "meson-uninstalled")}
    found = subprocess.run(["pkg-config", "--cflags", "--libs", "raddle-0"], env=environment, text=True,
                           stdout=subprocess.PIPE, check=True)
    program = tmp_path / "stack_probe"
    compiler = os.environ.get("CC", "cc").split()
    command = [*compiler, "-g", "-fno-omit-frame-pointer", *flags, HERE / "stack_probe.c", "-o", program,
               *shlex.split(found.stdout), f"-Wl,-rpath,{BUILD}"]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0 and any("sanitize" in flag for flag in flags):
        pytest.skip(f"this compiler has no {flags[0]}: {done.stdout.splitlines()[-1]}")
    assert done.returncode == 0, done.stdout
    return program


def run(*command, **environment):
    return subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, env={**os.environ, **environment})


@pytest.mark.parametrize("after_return", ["0", "1"])
def test_address_sanitizer_finds_nothing(tmp_path, after_return):
    program = build(tmp_path, "-fsanitize=address")
    # Python keeps what it allocated to its end.
    options = f"detect_leaks=0:detect_stack_use_after_return={after_return}"
    done = run(program, ASAN_OPTIONS=options)
    assert (done.returncode, done.stdout) == (0, "done 1\n")


def test_thread_sanitizer_finds_nothing(tmp_path):
    done = run(build(tmp_path, "-fsanitize=thread"))
    if "unexpected memory mapping" in done.stdout:
        pytest.skip("this ThreadSanitizer is older than the address space of this kernel")
    assert (done.returncode, done.stdout) == (0, "done 1\n")


def test_valgrind_finds_nothing(tmp_path):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    done = run("valgrind", "--quiet", "--error-exitcode=9", build(tmp_path), PYTHONMALLOC="malloc")
    assert (done.returncode, done.stdout) == (0, "done 1\n")
