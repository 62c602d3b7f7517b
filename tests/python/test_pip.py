"""`pip install ./glue/python`: what a plain interpreter gets, and what a host makes of the installed package.

RADDLE_PYTHONS may name more interpreters than the one that everything is built for.
"""
import os
import pathlib
import shlex
import subprocess
import sys
import sysconfig
import tarfile
import zipfile

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
SOURCE = ROOT / "glue/python"
BUILD = pathlib.Path(os.environ["RADDLE_BUILD"])
LIBRARY = BUILD / "libraddle.so.0"
OWN = os.environ["RADDLE_PYTHON"]
PYTHONS = [OWN, *filter(None, os.environ.get("RADDLE_PYTHONS", "").split(os.pathsep))]
# A debug build of the module is made in a fraction of the time; what pip does is the same.
INSTALL = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index",
           "--config-settings=profile=dev"]


def run(*command, **options):
    """What a command printed, if it ended well."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment.update(options.pop("env", {}))
    done = subprocess.run(list(map(str, command)), env=environment, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1200, **options)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stdout}"
    return done.stdout


class Venv:
    """A virtual environment of an interpreter."""

    def __init__(self, python, folder):
        # Its libpython may be where the dynamic linker does not look.
        libdir = run(python, "-c", "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))",
                     env={"LD_LIBRARY_PATH": str(pathlib.Path(python).parents[1] / "lib")}).strip()
        self.env = {"LD_LIBRARY_PATH": libdir}
        self.folder = folder
        self.python = folder / "bin/python"
        run(python, "-m", "venv", folder, env=self.env)

    def pip_install(self, *what):
        return self.run(*INSTALL, *what)

    def run(self, *arguments):
        return run(self.python, *arguments, env=self.env)

    def isolated(self, code, *arguments):
        return self.run("-I", "-c", code, *arguments)

    def site_packages(self):
        return pathlib.Path(self.isolated("import sysconfig; print(sysconfig.get_path('platlib'))").strip())

    def extension(self):
        (extension,) = self.site_packages().glob("_raddle.*.so")
        return extension


def named(python):
    return pathlib.Path(python).parents[1].name + "-" + pathlib.Path(python).name


@pytest.fixture(scope="module", params=PYTHONS, ids=named)
def installed(request, tmp_path_factory):
    """A virtual environment with raddle, of each interpreter."""
    venv = Venv(request.param, tmp_path_factory.mktemp("venv") / "raddle")
    venv.pip_install(SOURCE)
    return venv


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A virtual environment with raddle, of the interpreter that libraddle was built for."""
    venv = Venv(OWN, tmp_path_factory.mktemp("own") / "raddle")
    venv.pip_install(SOURCE)
    return venv


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """weave_probe.c as a shared library."""
    library = tmp_path_factory.mktemp("probe") / "weave_probe.so"
    run("cc", "-shared", "-fPIC", "-pthread", "-o", library, HERE / "weave_probe.c")
    return library


def test_a_plain_interpreter_imports_it(installed):
    said = installed.isolated(
        "import sys, _raddle, raddle\n"
        "print(raddle.__file__, _raddle.__file__, raddle.__version__)\n"
        "assert raddle.python_abi == '%d.%d%s' % (*sys.version_info[:2], sys.abiflags), raddle.python_abi\n"
        "assert raddle.gate_stats()['leaked'] == 0\n"
    )
    package, extension, version = said.split()
    folder = installed.site_packages()
    assert pathlib.Path(package) == folder / "raddle/__init__.py"
    assert pathlib.Path(extension) == installed.extension()
    assert f"{version}\n" in run(installed.python, "-m", "pip", "show", "raddle", env=installed.env)


def test_every_module_of_it_can_be_imported_and_has_what_it_says(installed):
    code = """if True:
        import importlib, pkgutil, raddle
        # The first is run by the extension; for the others see below.
        others = {"raddle._boot", "raddle._gio", "raddle._scheduler", "raddle.asyncio"}
        for found in pkgutil.iter_modules(raddle.__path__, "raddle."):
            if found.name not in others:
                module = importlib.import_module(found.name)
                missing = [name for name in getattr(module, "__all__", []) if not hasattr(module, name)]
                assert not missing, (found.name, missing)
        assert not [name for name in raddle.__all__ if not hasattr(raddle, name)]
        print("all there")
    """
    assert installed.isolated(code) == "all there\n"


def test_what_needs_glib_says_so(installed):
    code = """if True:
        try:
            import raddle.asyncio
        except ImportError as error:
            print(error)
    """
    assert "GLib" in installed.isolated(code)


def test_the_library_carries_the_files_that_are_installed(installed):
    code = """if True:
        import pathlib, _raddle, raddle
        folder = pathlib.Path(raddle.__file__).parent
        carried = _raddle.carried()
        files = {path for path in folder.rglob("*.py") if path.name != "_boot.py"}
        for name, (package, source) in carried.items():
            path = folder.parent.joinpath(*name.split("."))
            path = path / "__init__.py" if package else path.with_suffix(".py")
            files.remove(path)
            assert path.read_text() == source, path
        print(sorted(path.name for path in files))
    """
    # Those belong to the GLib glue, which carries them.
    assert installed.isolated(code) == "['_error.py', '_gio.py', '_scheduler.py', 'asyncio.py']\n", (
        "list the file in CARRIED of runtime/src/embed/package.rs"
    )


def test_native_destructors_run_in_it(installed, probe):
    seen = installed.run("-W", "error", HERE / "weave_oracle.py", "raddle", probe)
    assert seen.splitlines() == (HERE / "weave_oracle.txt").read_text().splitlines()


def test_its_stub_says_what_it_has(installed):
    stub = installed.site_packages() / "_raddle-stubs/__init__.pyi"
    assert installed.run("-I", HERE / "stubs.py", stub, "_raddle") == "the same\n"
    assert (installed.site_packages() / "raddle/py.typed").exists()


def test_it_ends_quietly_with_threads_and_forks_behind_it(installed):
    code = """if True:
        import os, threading, raddle
        threads = [threading.Thread(target=raddle.gate_stats) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        child = os.fork()
        if child == 0:
            raddle.gate_stats()
        else:
            print(os.waitpid(child, 0)[1])
    """
    assert installed.run("-I", "-W", "ignore::DeprecationWarning", "-c", code) == "0\n"


def test_it_needs_neither_glib_nor_a_libpython_of_its_own(installed):
    said = installed.isolated(
        "import raddle\n"
        "import pathlib\n"
        "lines = pathlib.Path('/proc/self/maps').read_text().splitlines()\n"
        "names = {line.split('/')[-1] for line in lines if '.so' in line}\n"
        "print(*sorted(name for name in names if name.startswith(('libglib', 'libgobject', 'libraddle'))))\n"
    )
    assert said == "\n"
    needed = [line for line in run("readelf", "-d", installed.extension()).splitlines() if "NEEDED" in line]
    assert needed
    assert not [line for line in needed if "python" in line or "glib" in line], needed


def test_it_takes_no_static_thread_local_memory(installed):
    # Other libraries may have used it up by the time that raddle is imported.
    assert "STATIC_TLS" not in run("readelf", "-d", installed.extension())
    assert "STATIC_TLS" in run("readelf", "-d", LIBRARY)


def test_its_extension_exports_its_entry_point_and_nothing_else(installed):
    exported = run("nm", "-D", "--defined-only", installed.extension()).split()
    assert exported[1:] == ["T", "PyInit__raddle"]
    assert " U PyModuleDef_Init" in run("nm", "-D", "--undefined-only", installed.extension())


def test_a_second_import_of_the_extension_gives_the_same_module(own):
    code = """if True:
        import sys, importlib, _raddle
        stats = _raddle.gate_stats
        del sys.modules["_raddle"]
        assert importlib.import_module("_raddle") is _raddle
        assert _raddle.gate_stats is stats
        print(importlib.reload(_raddle) is _raddle)
    """
    assert own.isolated(code) == "True\n"


def test_the_wheel_is_for_this_interpreter_and_says_so(tmp_path):
    name = backend(f"build_wheel({str(tmp_path)!r}, {{'profile': 'dev'}})", tmp_path)
    python = "cp{}{}".format(*sys.version_info)
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert name.endswith(f"-{python}-{python}{sys.abiflags}-{platform}.whl")
    with zipfile.ZipFile(tmp_path / name) as wheel:
        assert wheel.testzip() is None
        names = set(wheel.namelist())
        record = wheel.read(next(name for name in names if name.endswith("/RECORD"))).decode()
    assert {line.split(",")[0] for line in record.splitlines()} == names
    assert {name.split("/")[0].split(".")[0] for name in names} == {"raddle", "_raddle", "_raddle-stubs", "raddle-0"}


def backend(call, folder):
    """What a call of the backend answers, with the interpreter that everything is built for."""
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import backend; print(backend.{call})"
    venv = Venv(OWN, folder / "plain")
    return venv.isolated(code).splitlines()[-1]


def test_a_source_distribution_has_all_that_a_build_needs(tmp_path):
    name = backend(f"build_sdist({str(tmp_path)!r})", tmp_path)
    with tarfile.open(tmp_path / name) as archive:
        names = archive.getnames()
    top = name.removesuffix(".tar.gz")
    assert {f"{top}/pyproject.toml", f"{top}/PKG-INFO", f"{top}/LICENSE-MIT"} <= set(names)
    assert not [each for each in names if "__pycache__" in each or "/target/" in each]
    venv = Venv(OWN, tmp_path / "venv")
    # A place of its own: cargo would take turns with what it made of the checkout.
    venv.env["CARGO_TARGET_DIR"] = str(BUILD.parent / "pip-sdist")
    venv.pip_install(tmp_path / name)
    assert venv.isolated("import raddle; print(raddle.python_abi)").strip() == "%d.%d%s" % (
        *sys.version_info[:2], sys.abiflags)


def test_an_editable_install_uses_the_checkout(tmp_path):
    venv = Venv(OWN, tmp_path / "venv")
    venv.pip_install("--editable", SOURCE)
    said = venv.isolated("import raddle, _raddle; print(raddle.__file__, _raddle.__file__)").split()
    assert said == [str(SOURCE / "raddle/__init__.py"), str(venv.extension())]


# In a process that has libraddle already.

SAME = """
import importlib.metadata, importlib.machinery, importlib.util, sys
import _raddle, raddle
from raddle import weave
# It is installed and would be found...
assert importlib.metadata.version("raddle")
installed = importlib.machinery.PathFinder.find_spec("_raddle").origin
assert installed.endswith(".so"), installed
# ...and still all is the host's own,
assert raddle.__spec__.origin == "<libraddle>/raddle/__init__.py", raddle.__spec__
assert weave.__spec__.origin == "<libraddle>/raddle/weave.py", weave.__spec__
assert _raddle.__spec__.origin != installed
# also when the installed one is loaded by its file,
spec = importlib.util.spec_from_file_location("_raddle", installed)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
for name in dir(_raddle):
    if not name.startswith("__"):
        assert getattr(module, name) is getattr(_raddle, name), name
assert module.__version__ == _raddle.__version__
# or found instead of one that was thrown out.
host = sys.modules.pop("_raddle")
import _raddle
assert _raddle.gate_stats is host.gate_stats
import threading
threads = [threading.Thread(target=raddle.gate_stats) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("the host's")
"""

HOST = r"""
#include <Python.h>
#include <raddle/raddle.h>
#include <stdio.h>
/* Starts Python in a virtual environment, or adopts one that it started there itself, and runs a script. */
static int
run (const char *script)
{
  if (raddle_enter () != RADDLE_STATUS_OK)
    return 2;
  int failed = PyRun_SimpleString (script);
  raddle_leave ();
  return failed ? 3 : 0;
}
int
main (int argc, char **argv)
{
  RaddleRuntime *runtime = NULL;
  if (argc != 4)
    return 64;
  if (argv[1][0] == 's')
    {
      RaddleOptions *options = raddle_options_new ();
      raddle_options_set_venv (options, argv[2]);
      if (raddle_runtime_new (options, &runtime) != RADDLE_STATUS_OK)
        return puts (raddle_last_error_message ()), 1;
      raddle_options_free (options);
      int failed = run (argv[3]);
      if (raddle_runtime_stop (runtime, 10000) != RADDLE_STATUS_OK)
        return puts (raddle_last_error_message ()), 4;
      raddle_runtime_unref (runtime);
      return failed;
    }
  PyConfig config;
  PyConfig_InitPythonConfig (&config);
  /* The program's name is where Python looks for pyvenv.cfg. */
  PyConfig_SetBytesString (&config, &config.program_name, argv[2]);
  PyStatus status = Py_InitializeFromConfig (&config);
  PyConfig_Clear (&config);
  if (PyStatus_Exception (status))
    return puts (status.err_msg), 1;
  if (raddle_runtime_adopt (&runtime) != RADDLE_STATUS_OK)
    return puts (raddle_last_error_message ()), 1;
  PyThreadState *state = PyEval_SaveThread ();
  int failed = run (argv[3]);
  PyEval_RestoreThread (state);
  raddle_runtime_unref (runtime);
  return Py_FinalizeEx () < 0 ? 5 : failed;
}
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A host in C, linked with libraddle."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "host.c").write_text(HOST)
    flags = run("pkg-config", "--cflags", "--libs", "raddle-0",
                env={"PKG_CONFIG_PATH": str(BUILD / "meson-uninstalled")})
    run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", folder / "host.c", "-o", folder / "host",
        *shlex.split(flags), f"-Wl,-rpath,{BUILD}")
    return folder / "host"


def test_a_host_that_starts_python_uses_its_own_copy(own, host):
    assert run(host, "start", own.folder, SAME, env=own.env) == "the host's\n"


def test_a_host_that_adopts_python_uses_its_own_copy(own, host):
    assert run(host, "adopt", own.python, SAME, env=own.env) == "the host's\n"


def test_an_interpreter_that_loads_libraddle_first_uses_that_copy(own):
    adopt = f"import ctypes\nassert ctypes.PyDLL({str(LIBRARY)!r}).raddle_runtime_adopt(ctypes.byref(ctypes.c_void_p())) == 0\n"
    assert own.isolated(adopt + SAME) == "the host's\n"


def test_a_native_library_that_comes_second_is_refused_by_name(own):
    said = own.isolated(
        "import ctypes, raddle\n"
        f"library = ctypes.PyDLL({str(LIBRARY)!r})\n"
        "library.raddle_last_error_message.restype = ctypes.c_char_p\n"
        "print(library.raddle_runtime_adopt(ctypes.byref(ctypes.c_void_p())))\n"
        "print(library.raddle_last_error_message().decode())\n"
        "assert raddle.gate_stats()\n"
    )
    status, line = said.splitlines()
    assert status == "4"
    assert str(own.extension()) in line and "another copy of raddle" in line
