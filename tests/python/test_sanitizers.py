"""Sanitizers, valgrind and gdb know the stacks of tasklets: a host that jumps and sleeps on them is clean."""
import os
import pathlib
import shlex
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent
BUILD = pathlib.Path(os.environ["RADDLE_BUILD"])
SAID = "looked at 1\ndone 1\n"


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
    assert (done.returncode, done.stdout) == (0, SAID)


def test_thread_sanitizer_finds_nothing(tmp_path):
    done = run(build(tmp_path, "-fsanitize=thread"))
    if "unexpected memory mapping" in done.stdout:
        pytest.skip("this ThreadSanitizer is older than the address space of this kernel")
    assert (done.returncode, done.stdout) == (0, SAID)


def test_valgrind_finds_nothing(tmp_path):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    done = run("valgrind", "--quiet", "--error-exitcode=9", build(tmp_path), PYTHONMALLOC="malloc")
    assert (done.returncode, done.stdout) == (0, SAID)


def test_gdb_shows_the_stack_that_runs_and_one_that_is_suspended(tmp_path):
    if shutil.which("gdb") is None:
        pytest.skip("gdb is not installed")
    if os.uname().machine != "x86_64":
        pytest.skip("docs/raddle.gdb knows the registers of x86-64")
    commands = ["set debuginfod enabled off", f"source {HERE.parent.parent / 'docs/raddle.gdb'}", "break look_at", "run",
                "echo [running]\\n", "backtrace", "echo [suspended]\\n", "raddle-backtrace pointer", "echo [end]\\n",
                "continue"]
    done = run("gdb", "--batch", "-nx", *[word for command in commands for word in ("-ex", command)], build(tmp_path))
    if "ptrace: Operation not permitted" in done.stdout:
        pytest.skip("this machine lets nobody trace a process")
    running, _, rest = done.stdout.partition("[running]")[2].partition("[suspended]")
    suspended, _, rest = rest.partition("[end]")
    assert "look_at" in running and " work (" not in running, done.stdout
    assert suspended.count("sleep_with_locals") == 21 and "in work (" in suspended, done.stdout
    for shown in (running, suspended):
        assert "tasklet::switch::x86_64::begin" in shown and "Backtrace stopped" not in shown, done.stdout
        assert "main (" not in shown  # The stack ends where the tasklet began.
    assert all(line in rest for line in [*SAID.splitlines(), "exited normally"]), done.stdout
