"""Builds the pip package of raddle with cargo: a PEP 517 backend that needs nothing but Python.

The package's native part is all of `runtime/`, which lies outside of this directory. The pieces are
few, so they are here: one call of cargo, a wheel, a source distribution that keeps the checkout's
layout. docs/design/packaging.md says why no backend of others does it.
"""
import base64
import contextlib
import hashlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

#: What a build reads: the runtime, and the manifests of the workspace whose lock file it shares.
SOURCES = ["Cargo.toml", "LICENSE-MIT", "LICENSE-APACHE", "README.md", "runtime", "glue/glib", "glue/capi",
           "glue/python"]
LICENCES = ["LICENSE-MIT", "LICENSE-APACHE"]

#: Never part of a source distribution.
IGNORED = {"__pycache__", "target", "tests", "vendor"}

PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
NAME, VERSION = PROJECT["name"], PROJECT["version"]
DIST_INFO = f"{NAME}-{VERSION}.dist-info"

#: The last PyO3 that supports the free-threaded 3.13; what the lock file names begins at 3.14.
OLDER_PYO3 = "0.28.3"


# What pip calls.


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with Wheel(wheel_directory) as wheel:
        for path in sources(HERE / "raddle"):
            wheel.add(path.relative_to(HERE), path.read_bytes())
        wheel.add(f"_raddle{extension_suffix()}", built(config_settings or {}).read_bytes(), executable=True)
        # Type checkers look for the types of a module that is no package in a package of this name.
        wheel.add("_raddle-stubs/__init__.pyi", (HERE / "_raddle.pyi").read_bytes())
    return wheel.name


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    with Wheel(wheel_directory) as wheel:
        wheel.add(f"{NAME}.pth", f"{HERE}\n".encode())
        wheel.add(f"_raddle{extension_suffix()}", built(config_settings or {}).read_bytes(), executable=True)
    return wheel.name


def build_sdist(sdist_directory, config_settings=None):
    top = f"{NAME}-{VERSION}"
    name = f"{top}.tar.gz"
    with tarfile.open(pathlib.Path(sdist_directory, name), "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for source in SOURCES:
            for path in sources(ROOT / source):
                archive.add(path, f"{top}/{path.relative_to(ROOT)}", filter=nobodys)
        project = (HERE / "pyproject.toml").read_text().replace(
            'backend-path = ["."]', f'backend-path = ["{HERE.relative_to(ROOT)}"]')
        for path, text in {"pyproject.toml": project, "PKG-INFO": metadata()}.items():
            data = text.encode()
            entry = tarfile.TarInfo(f"{top}/{path}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return name


def nobodys(entry):
    """Whose file it was is nobody's business."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = pathlib.Path(metadata_directory, DIST_INFO)
    folder.mkdir()
    (folder / "METADATA").write_text(metadata())
    (folder / "WHEEL").write_text(wheel_facts())
    return DIST_INFO


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


# What is in it.


def sources(path):
    """The files at and under a path that belong to a source distribution."""
    if path.is_file():
        if path.suffix != ".pyc":
            yield path
        return
    for below in sorted(path.iterdir()):
        if below.name not in IGNORED and not below.name.startswith((".", "build-")):
            yield from sources(below)


def metadata():
    lines = ["Metadata-Version: 2.4", f"Name: {NAME}", f"Version: {VERSION}",
             f"Summary: {PROJECT['description']}", f"License-Expression: {PROJECT['license']}",
             *(f"License-File: {name}" for name in LICENCES),
             *(f"Classifier: {name}" for name in PROJECT["classifiers"]),
             f"Requires-Python: {PROJECT['requires-python']}",
             "Description-Content-Type: text/markdown", "", (ROOT / "README.md").read_text()]
    return "\n".join(lines)


def tag():
    """This interpreter and nothing else: the extension reads CPython's private layout."""
    python = "cp{}{}".format(*sys.version_info)
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"{python}-{python}{sys.abiflags}-{platform}"


def wheel_facts():
    return f"Wheel-Version: 1.0\nGenerator: raddle {VERSION}\nRoot-Is-Purelib: false\nTag: {tag()}\n"


def extension_suffix():
    return sysconfig.get_config_var("EXT_SUFFIX")


class Wheel:
    """A wheel that is being written, with its record."""

    def __init__(self, directory):
        self.name = f"{NAME}-{VERSION}-{tag()}.whl"
        self.record = []
        self.archive = zipfile.ZipFile(pathlib.Path(directory, self.name), "w", zipfile.ZIP_DEFLATED)

    def add(self, path, data, executable=False):
        path = pathlib.PurePath(path).as_posix()
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        self.record.append(f"{path},sha256={digest},{len(data)}")
        self.write(path, data, executable)

    def write(self, path, data, executable=False):
        # The oldest time that a zip file knows: the same source makes the same wheel.
        entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = (0o100755 if executable else 0o100644) << 16
        self.archive.writestr(entry, data)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            for name in LICENCES:
                self.add(f"{DIST_INFO}/licenses/{name}", (ROOT / name).read_bytes())
            self.add(f"{DIST_INFO}/METADATA", metadata().encode())
            self.add(f"{DIST_INFO}/WHEEL", wheel_facts().encode())
            record = f"{DIST_INFO}/RECORD"
            self.write(record, "\n".join([*self.record, f"{record},,", ""]).encode())
        self.archive.close()


# The native part.


def built(settings):
    """The extension module, built for the interpreter that runs this."""
    cargo = shutil.which("cargo") or sys.exit(
        "raddle is built from Rust, and there is no cargo here: install it from https://rustup.rs")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"), "pip", f"{tag()}")
    profile = settings.get("profile", "release")
    folder = HERE
    if sys.version_info[:2] == (3, 13) and "t" in sys.abiflags:
        folder = with_older_pyo3(cargo, target / "source")
    environment = {
        **os.environ,
        # The same for every virtual environment of an interpreter, so that cargo builds nothing twice.
        "PYO3_PYTHON": getattr(sys, "_base_executable", None) or sys.executable,
        # No libpython: whoever imports the module has one.
        "PYO3_BUILD_EXTENSION_MODULE": "1",
        # A wheel has the names of functions, and no lines.
        "CARGO_PROFILE_RELEASE_STRIP": "debuginfo",
    }
    run([cargo, "build", "--locked", "--lib", "--manifest-path", folder / "Cargo.toml", "--profile", profile,
         "--target-dir", target, *vendored(folder)], environment)
    suffix = "dylib" if sys.platform == "darwin" else "so"
    return target / {"dev": "debug"}.get(profile, profile) / f"lib_raddle.{suffix}"


def run(command, environment):
    if subprocess.run(list(map(str, command)), env=environment, cwd=ROOT).returncode:
        sys.exit("cargo could not build the extension module of raddle; what it says is above. "
                 f"It was to be built for {sys.executable}, which needs its headers "
                 "(Debian: python3-dev, Fedora: python3-devel)")


def vendored(folder):
    """The arguments that let cargo work without a network, where `meson dist` put the crates."""
    crates = folder.parent / "capi/embed/vendor"
    if not crates.is_dir():
        return []
    return ["--offline", "--config", 'source.crates-io.replace-with="vendored"',
            "--config", f'source.vendored.directory="{crates}"']


def with_older_pyo3(cargo, copy):
    """A copy of the sources whose lock file names the older PyO3: cargo takes no second lock file."""
    for source in SOURCES:
        for path in sources(ROOT / source):
            place = copy / path.relative_to(ROOT)
            data = path.read_bytes()
            # What is the same is left alone, so that cargo builds nothing twice.
            with contextlib.suppress(OSError):
                if place.read_bytes() == data:
                    continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
    folder = copy / HERE.relative_to(ROOT)
    for name in ("pyo3", "pyo3-ffi", "pyo3-build-config"):
        # Read anew: an update of one may have taken another along.
        lock = tomllib.loads((copy / "glue/capi/embed/Cargo.lock").read_text())
        for version in {package["version"] for package in lock["package"] if package["name"] == name}:
            if version != OLDER_PYO3:
                run([cargo, "update", "--quiet", "--manifest-path", folder / "Cargo.toml",
                     "--package", f"{name}@{version}", "--precise", OLDER_PYO3], os.environ)
    return folder
