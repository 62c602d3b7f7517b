"""A host's own build: raddle as a meson subproject, as an installed library, and without a network."""
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
if "RADDLE_BUILD" not in os.environ:
    raise RuntimeError("no RADDLE_BUILD: run these tests by `cargo xtask test`, which builds what they need")
BUILD = pathlib.Path(os.environ["RADDLE_BUILD"])
PYTHON = os.environ["RADDLE_PYTHON"]
WORK = BUILD.parent / "consumer"
ABI = "{}.{}{}".format(*sys.version_info[:2], sys.abiflags)


def run(*command, **environment):
    """The output of a command that must succeed."""
    done = subprocess.run(list(map(str, command)), env={**os.environ, **environment}, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=1200)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}"
    return done.stdout


def copy(source, target):
    """Copies a file unless the copy is the same, so that a second run of these tests rebuilds little."""
    if source.is_symlink() or not source.is_file():
        return
    if not target.exists() or target.read_bytes() != source.read_bytes():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def sources():
    """What git tracks, or, in a copy without git, the directories that the C library is made of."""
    if (ROOT / ".git").exists():
        return [ROOT / name for name in run("git", "-C", ROOT, "ls-files", "-z").split("\0") if name]
    folders = ["runtime", "glue", "tests", "xtask"]
    return [path for folder in folders for path in (ROOT / folder).rglob("*")] + list(ROOT.glob("*.*"))


def ninja(build):
    return run("ninja", "-C", build)


def does_nothing(build):
    return "no work to do" in ninja(build)


@pytest.fixture(scope="module")
def checkout():
    """A copy of the checkout, for the tests to edit."""
    target = WORK / "checkout"
    for source in sources():
        copy(source, target / source.relative_to(ROOT))
    return target


@pytest.fixture(scope="module")
def build(checkout):
    """The build directory of a host that has the copy as a subproject."""
    host = WORK / "host"
    shutil.rmtree(host, ignore_errors=True)
    shutil.copytree(ROOT / "tests/consumer", host)
    (host / "subprojects").mkdir()
    (host / "subprojects/raddle").symlink_to(checkout)
    run("meson", "setup", "--buildtype=debug", "--force-fallback-for=raddle", host / "build", host,
        f"-Draddle:python={PYTHON}", f"-Draddle:cargo_target_dir={WORK / 'cargo'}")
    ninja(host / "build")
    return host / "build"


def test_a_host_builds_raddle_as_a_subproject_and_runs_python(build):
    assert run(build / "consumer") == f"{ABI} {ABI} RADDLE_STATUS_OK\n"


def test_a_second_ninja_does_nothing(build):
    ninja(build)
    assert does_nothing(build)


def test_an_edit_of_rust_code_ends_up_in_the_host(build, checkout):
    status = checkout / "glue/capi/src/status.rs"
    before = status.read_text()
    assert 'c"RADDLE_STATUS_OK"' in before
    try:
        status.write_text(before.replace('c"RADDLE_STATUS_OK"', 'c"EDITED"'))
        ninja(build)
        assert run(build / "consumer") == f"{ABI} {ABI} EDITED\n"
    finally:
        status.write_text(before)
    ninja(build)
    assert run(build / "consumer") == f"{ABI} {ABI} RADDLE_STATUS_OK\n"
    assert does_nothing(build)


@pytest.mark.parametrize("name", ["runtime/src/lib.rs", "runtime/src/cpython/gate_shim.c", "runtime/build.rs",
                                  "glue/glib/src/lib.rs", "runtime/Cargo.toml", "Cargo.toml",
                                  "glue/capi/embed/Cargo.lock"])
def test_ninja_calls_cargo_after_an_edit_of(name, build, checkout):
    ninja(build)
    edited = checkout / name
    before = edited.read_text()
    edited.write_text(before + "\n")
    assert "cargo_build.py" in run("ninja", "-n", "-v", "-C", build)
    ninja(build)
    assert does_nothing(build)
    edited.write_text(before)


def test_a_host_finds_an_installed_raddle_by_pkg_config(build, tmp_path):
    prefix = tmp_path / "prefix"
    run("meson", "setup", f"--prefix={prefix}", "--libdir=lib", tmp_path / "raddle", ROOT,
        f"-Dpython={PYTHON}", f"-Dcargo_target_dir={BUILD.parent / 'embed'}")
    run("meson", "install", "-C", tmp_path / "raddle")
    assert (prefix / "lib/libraddle.so.0").is_symlink()
    environment = {"PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    assert run("pkg-config", "--variable=python_abi", "raddle-0", **environment).strip() == ABI
    assert "gobject-2.0" in run("pkg-config", "--print-requires", "raddle-glib-0", **environment)
    host = tmp_path / "host"
    run("meson", "setup", "--wrap-mode=nofallback", host, ROOT / "tests/consumer", **environment)
    ninja(host)
    search = ":".join([str(prefix / "lib"), sysconfig.get_config_var("LIBDIR")])
    assert run(host / "consumer", LD_LIBRARY_PATH=search) == f"{ABI} {ABI} RADDLE_STATUS_OK\n"


def test_a_host_builds_the_release_tarball_without_a_network(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("meson makes the tarball from git, and this is a copy of a checkout")
    run("meson", "dist", "-C", BUILD, "--no-tests", "--allow-dirty", "--formats=gztar")
    tarball = next((BUILD / "meson-dist").glob("raddle-*.tar.gz"))
    host = tmp_path / "host"
    shutil.copytree(ROOT / "tests/consumer", host)
    (host / "subprojects").mkdir()
    shutil.unpack_archive(tarball, host / "subprojects")
    next((host / "subprojects").glob("raddle-*")).rename(host / "subprojects/raddle")
    run("meson", "setup", "--buildtype=debug", "--force-fallback-for=raddle", host / "build", host,
        f"-Draddle:python={PYTHON}")
    run("ninja", "-C", host / "build", CARGO_HOME=str(tmp_path / "empty"), CARGO_NET_OFFLINE="true")
    assert run(host / "build/consumer") == f"{ABI} {ABI} RADDLE_STATUS_OK\n"
