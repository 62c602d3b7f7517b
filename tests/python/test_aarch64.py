"""The stack switch of aarch64 under an emulator: its own tests, without the rest, which needs a Python of that kind."""
import pathlib
import shutil
import subprocess

import pytest

SWITCH = pathlib.Path(__file__).parents[2] / "runtime/src/tasklet/switch/mod.rs"
TARGET = "aarch64-unknown-linux-gnu"
LINKER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
#: Where Debian and Fedora keep the C library that the emulator needs.
ROOTS = [pathlib.Path("/usr/aarch64-linux-gnu"), pathlib.Path("/usr/aarch64-linux-gnu/sys-root")]


def missing():
    if not (shutil.which(LINKER) and shutil.which(EMULATOR)):
        return "Debian: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
    found = subprocess.run(["rustc", "--print", "target-libdir", "--target", TARGET], text=True, stdout=subprocess.PIPE)
    if not any(pathlib.Path(found.stdout.strip()).glob("libstd-*")):
        return f"rustup target add {TARGET}"
    return None


def test_stacks_are_switched_on_aarch64(tmp_path):
    if reason := missing():
        pytest.skip(reason)
    source, program = tmp_path / "main.rs", tmp_path / "switch"
    source.write_text(f'mod tasklet {{ #[path = "{SWITCH}"] mod switch; }}')
    for level in ("0", "3"):
        subprocess.run(["rustc", "--edition", "2024", "--test", "--cap-lints", "allow", "-C", f"opt-level={level}",
                        "--target", TARGET, "-C", f"linker={LINKER}", source, "-o", program], check=True)
        root = next(root for root in ROOTS if (root / "lib/ld-linux-aarch64.so.1").exists())
        done = subprocess.run([EMULATOR, "-L", root, program], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120)
        assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout
