"""The indexer demo against its reference, and against everything that may go wrong in it.

The program is built elsewhere: by `cargo xtask test`, which names it in RADDLE_INDEXER, or by hand.
"""

import ctypes
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "tests" / "indexer_reference.py"
DEADLINE = 300
SHARED = ("files", "words", "functions", "imports", "errors", "bytes", "lines", "duplicates")


def find_program():
    named = os.environ.get("RADDLE_INDEXER")
    candidates = [named] if named else sorted(ROOT.glob("build*/indexer")) + sorted(
        (ROOT / "demos" / "indexer").glob("build*/indexer")
    )
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return str(candidate)
    raise FileNotFoundError(
        f"no indexer at {named or 'build*/indexer or demos/indexer/build*/indexer'}: run `cargo xtask "
        "test`, or `meson setup demos/indexer/build demos/indexer && ninja -C demos/indexer/build`"
    )


PROGRAM = find_program()


def run(*args, **kwargs):
    """Run the indexer to its end; stdout and stderr come as text."""
    return subprocess.run(
        [PROGRAM, *map(str, args)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=DEADLINE,
        **kwargs,
    )


def figures(done):
    """Return what --json printed, as the last line."""
    return json.loads(done.stdout.splitlines()[-1])


def index(*args, status=0, **kwargs):
    done = run("--json", *args, **kwargs)
    assert done.returncode == status, done.stderr
    return figures(done)


def reference(path, python):
    done = subprocess.run(
        [python, "-X", "utf8", "-I", str(REFERENCE), str(path)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    return json.loads(done.stdout)


def assert_equal_to_reference(ours, path):
    theirs = reference(path, ours["executable"])
    assert {name: ours[name] for name in SHARED} == {name: theirs[name] for name in SHARED}
    assert ours["plugin_errors"] == theirs["headline_errors"]
    return theirs


def plugin_folder(folder, **sources):
    """Make a folder of plugins, name=source."""
    folder.mkdir()
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
    return folder


@pytest.fixture
def tree(tmp_path):
    """A few files that all plugins like."""
    folder = tmp_path / "tree"
    folder.mkdir()
    for number in range(12):
        (folder / f"file_{number}.py").write_text(f"import os\n\ndef f{number}():\n    pass\n")
    return folder


@pytest.fixture(scope="module")
def awkward_tree(tmp_path_factory):
    """Everything that a folder of Python files may hold, in one."""
    top = tmp_path_factory.mktemp("awkward")
    files = {
        "plain.py": b"import os, sys\nfrom a import b\n\nasync def f():\n    def g(): pass\n",
        "same_as_plain.py": b"import os, sys\nfrom a import b\n\nasync def f():\n    def g(): pass\n",
        "empty.py": b"",
        "only_newlines.py": b"\n\n\n",
        "no_final_newline.py": b"#!/usr/bin/python3\nx = 1",
        "carriage_returns.py": b"import a\rimport b\r\ndef f(): pass\r",
        "form_feed.py": b"\x0cimport a\n\x0c\ndef f(): pass\n",
        "byte_order_mark.py": b"\xef\xbb\xbfword = 'caf\xc3\xa9'\n",
        "mark_and_cookie.py": b"\xef\xbb\xbf# coding: latin-1\nx = 1\n",
        "latin_1.py": b"# -*- coding: latin-1 -*-\nname = 'caf\xe9 na\xefve'\n",
        "cookie_on_line_2.py": b"#!/usr/bin/python3\n# vim: set fileencoding=cp1252 :\nx = '\x80'\n",
        "bad_bytes.py": b"x = '\xff\xfe'\n",
        "bad_bytes_in_latin.py": b"# coding: ascii\nx = 1\ny = '\xe9'\n",
        "bad_bytes_late.py": b"x = 1\n" * 5000 + b"'\xe9'\n",
        "unknown_cookie.py": b"# coding: no-such-codec\nx = 1\n",
        "codec_of_bytes.py": b"# coding: hex\nx = 1\n",
        "codec_of_text.py": b"# coding: rot13\nk = 1\n",
        "null_byte.py": b"x = 1\n\x00\n",
        "syntax_error.py": b"def f(:\n",
        "tabs_and_spaces.py": b"if x:\n\ty\n        z\n",
        "too_many_brackets.py": b"(" * 1000 + b")" * 1000 + b"\n",
        # From 3.14 on the stack's bytes are the limit, and libpython needs other frames than python3.
        "too_deep.py": b"x" + b".a" * 400000 + b"\n",
        "too_deep_unary.py": b"-" * 200000 + b"1\n",
        "bad_escape.py": b"x = '\\d'\nassert (x, 'always true')\nx is 'y'\n",
        "letters.py": "größe = 'Ελλάδα ١٢٣ 日本語 a_b'\nº = 1\n".encode(),
        "huge_number.py": b"x = " + b"9" * 5000 + b"\n",
        ".py": b"import hidden\n",
        ".hidden.py": b"import hidden\n",
        "two words\nand a line.py": b"import odd\n",
        "not_python.txt": b"import no\n",
        "CAPITALS.PY": b"import no\n",
        "module.pyi": b"import no\n",
        ".hidden_folder/x.py": b"import x\n",
        "__pycache__/x.py": b"import x\n",
        "folder.py/inside.py": b"import inside\n",
    }
    for name, data in files.items():
        path = top / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)

    raw = os.fsencode(top)
    with open(os.path.join(raw, b"caf\xe9.py"), "wb") as file:
        file.write(b"import not_utf8\n")
    os.mkdir(os.path.join(raw, b"d\xff"))
    with open(os.path.join(raw, b"d\xff", b"x.py"), "wb") as file:
        file.write(b"")

    deep = top
    for _ in range(150):
        deep = deep / "deeper_still"
        deep.mkdir()
        (deep / "x.py").write_bytes(b"import deeper\n")

    (top / "link.py").symlink_to(top / "plain.py")
    (top / "dangling.py").symlink_to(top / "nowhere.py")
    (top / "loop").symlink_to(top)
    (top / "link_to_folder").symlink_to(top / "__pycache__")
    os.mkfifo(top / "pipe.py")
    return top


# What it counts.


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_awkward_files_count_as_in_the_reference(awkward_tree, workers):
    done = run("--json", "--workers", workers, awkward_tree)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    theirs = assert_equal_to_reference(figures(done), awkward_tree)
    assert theirs["errors"] >= 10
    assert theirs["headline_errors"] >= 2


def test_standard_library_is_the_default_and_counts_as_in_the_reference():
    ours = index()
    minor = ".".join(ours["python"].split(".")[:2])
    assert os.path.basename(ours["root"]).startswith("python" + minor)
    theirs = assert_equal_to_reference(ours, ours["root"])
    assert theirs["files"] > 400
    assert ours["interrupted"] is False


def test_folder_without_python_gives_zeros(tmp_path):
    ours = index(tmp_path)
    assert [ours[name] for name in SHARED] == [0] * len(SHARED)
    assert ours["plugin_errors"] == 0


def test_root_that_is_a_link_is_followed(tree, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tree)
    assert index(link)["files"] == 12


def heed_ctrl_c():
    """Give SIGINT its default action: a test may run where it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def without_override():
    """Let file modes count for this process, root's too."""
    pr_capbset_drop, cap_dac_override, cap_dac_read_search = 24, 1, 2
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in cap_dac_override, cap_dac_read_search:
        if os.geteuid() == 0 and libc.prctl(pr_capbset_drop, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def test_what_cannot_be_read_is_told_and_counted(tree):
    (tree / "file_3.py").chmod(0)
    (tree / "closed").mkdir(mode=0)
    done = run("--json", tree, preexec_fn=without_override)
    ours = figures(done)
    assert (ours["files"], ours["errors"], ours["unreadable"], ours["unlisted"]) == (12, 1, 1, 1)
    assert ours["functions"] == 11
    assert f"indexer: cannot read {tree}/file_3.py: Permission denied" in done.stderr
    assert f"{tree}/closed" in done.stderr
    assert ours["plugin_errors"] == 0


# Threads and the gate.


def test_every_worker_enters_from_its_own_thread(tree, tmp_path):
    workers = 4
    together = plugin_folder(
        tmp_path / "plugins",
        together=f"""
import threading

barrier = threading.Barrier({workers})
met = threading.local()

def index(path, data):
    # Nobody passes before all workers are inside at once, each in its own thread.
    if not hasattr(met, "once"):
        met.once = True
        barrier.wait({DEADLINE})
    return {{threading.current_thread().name: 1}}
""",
    )
    for plugin in (ROOT / "demos" / "indexer" / "plugins").glob("*.py"):
        shutil.copy(plugin, together)
    ours = index("--workers", workers, "--plugins", together, tree)
    assert ours["plugin_errors"] == 0
    assert len([name for name in ours["counters"] if name.startswith("Dummy")]) == workers
    assert ours["threads"] == workers + 1
    assert ours["plugins"]["per_thread"]["note"]["tallies"] == workers
    assert ours["plugins"]["per_thread"]["note"]["files"] == 12
    assert ours["entries"] >= 12
    assert ours["nested"] >= 12 * 4
    assert ours["mean_wait_us"] > 0


def test_more_workers_than_files_are_no_harm(tree):
    ours = index("--workers", 256, tree)
    assert (ours["files"], ours["workers"]) == (12, 256)
    assert ours["threads"] <= 13


def test_thread_locals_survive_between_entries(tree):
    note = index("--workers", 1, tree)["plugins"]["per_thread"]["note"]
    assert note == {"tallies": 1, "files": 12, "largest": 12}


def test_comparison_measures_both_parts(tree):
    done = run("--json", "--compare", "--workers", 2, tree)
    assert done.returncode == 0, done.stderr
    ours = figures(done)
    times = ours["comparison"]
    assert times["complete"] is True
    assert min(times[name] for name in times if name.endswith("_s")) > 0
    assert times["native_speedup"] == pytest.approx(
        times["native_one_s"] / times["native_many_s"], rel=0.1
    )
    assert ours["files"] == 12
    assert ours["plugins"]["per_thread"]["note"]["files"] == 12
    assert "native part" in done.stdout and "times as fast" in done.stdout


# Plugins.


def test_what_plugins_raise_is_counted_and_stops_nothing(tree, tmp_path):
    plugins = plugin_folder(
        tmp_path / "plugins",
        a_exits="def index(path, data):\n    raise SystemExit(3)\n",
        b_interrupts="def index(path, data):\n    raise KeyboardInterrupt\n",
        c_is_mute=(
            "class Mute(Exception):\n    def __str__(self):\n        raise ValueError\n"
            "def index(path, data):\n    raise Mute\n"
        ),
        d_is_garbled="def index(path, data):\n    raise ValueError('two\\nlines \\udcff' * 999)\n",
        e_returns_text="def index(path, data):\n    return 'three'\n",
        f_returns_floats="def index(path, data):\n    return {'good': 1, 'bad': 0.5}\n",
        g_returns_much="def index(path, data):\n    return {'good': 1, 'much': 1 << 70}\n",
        h_recurses="def index(path, data):\n    return index(path, data)\n",
        z_counts="def index(path, data):\n    return {'words': 2, 'quo\"ted\\\\': 1}\n",
    )
    done = run("--json", "--workers", 2, "--plugins", plugins, tree)
    assert done.returncode == 0, done.stderr
    ours = figures(done)
    assert ours["files"] == 12
    assert ours["plugin_errors"] == 12 * 8
    assert {name: plugin["errors"] for name, plugin in ours["plugins"].items()} == {
        name.stem: 0 if name.stem == "z_counts" else 12 for name in plugins.glob("*.py")
    }
    assert ours["words"] == 24
    assert ours["counters"] == {"words": 24, 'quo"ted\\': 12}
    assert "plugin a_exits: SystemExit: 3 (line 2) on " in done.stderr
    assert "counted, not shown" in done.stderr


def test_broken_plugin_is_told_and_the_others_work(tree, tmp_path):
    plugins = plugin_folder(
        tmp_path / "plugins",
        good="import _helper\n\ndef index(path, data):\n    return {'words': _helper.ONE}\n",
        _helper="ONE = 1\n",
        syntax="def index(path, data:\n",
        missing="import no_such_module_anywhere\n",
        hookless="def Index(path, data): pass\n",
        tokenize="def index(path, data):\n    return {'named_as_in_the_library': 1}\n",
        begins="def begin():\n    raise OSError('no start')\ndef index(path, data): pass\n",
        ends="def index(path, data): pass\ndef finish():\n    return 7\n",
        ends_badly="def index(path, data): pass\ndef finish():\n    return {'a': {1, 2}}\n",
    )
    done = run("--json", "--plugins", plugins, tree)
    assert done.returncode == 0, done.stderr
    ours = figures(done)
    assert (ours["files"], ours["words"], ours["plugin_errors"]) == (12, 12, 6)
    assert ours["counters"]["named_as_in_the_library"] == 12
    assert "_helper" not in ours["plugins"]
    assert f"mend or remove {plugins}/syntax.py" in done.stderr
    missing = "ModuleNotFoundError: No module named 'no_such_module_anywhere' (line 1) while loading"
    assert f"plugin missing: {missing}" in done.stderr
    assert "plugin hookless: no function index(path, data)" in done.stderr
    assert "plugin begins: OSError: no start (line 2) in begin()" in done.stderr


def test_folder_without_a_usable_plugin_is_refused(tree, tmp_path):
    empty = plugin_folder(tmp_path / "empty")
    done = run("--plugins", empty, tree)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"indexer: no plugin (*.py) in {empty}: name a folder with plugins by --plugins\n"

    broken = plugin_folder(tmp_path / "broken", broken="1 +\n")
    done = run("--plugins", broken, tree)
    assert done.returncode == 1
    assert "plugin broken: SyntaxError: invalid syntax (broken.py, line 1)" in done.stderr
    assert f"indexer: no plugin that can be loaded in {broken}" in done.stderr


def test_plugin_with_a_thread_that_never_ends_is_named(tree, tmp_path):
    plugins = plugin_folder(
        tmp_path / "plugins",
        stays="""
import threading

def begin():
    threading.Thread(target=threading.Event().wait, name="stubborn").start()

def index(path, data):
    return {"words": 1}
""",
    )
    done = run("--json", "--plugins", plugins, tree)
    assert done.returncode == 1, done.stderr
    assert figures(done)["words"] == 12
    assert "stubborn" in done.stderr


# Ctrl-C.


def start(*args):
    """Start the indexer as a terminal would."""
    return subprocess.Popen(
        [PROGRAM, *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,
    )


def read_until(child, text):
    """Read the child's stderr until text came; return all that was read."""
    seen = b""
    until = time.monotonic() + DEADLINE
    while text not in seen:
        ready, _, _ = select.select([child.stderr], [], [], max(0, until - time.monotonic()))
        assert ready, f"no {text!r} in {seen!r}"
        chunk = os.read(child.stderr.fileno(), 65536)
        assert chunk, f"ended with {child.wait()} before {text!r}: {seen!r}"
        seen += chunk
    return seen


GATED = """
import os, time

def index(path, data):
    open({begun!r}, "a").close()
    until = time.monotonic() + {deadline}
    while not os.path.exists({go!r}) and time.monotonic() < until:
        time.sleep(0.01)
    return {{"words": 1}}
"""


@pytest.fixture
def gated(tmp_path):
    """A plugin that says when it has begun, and waits for leave to go on."""
    begun, go = tmp_path / "begun", tmp_path / "go"
    source = GATED.format(begun=str(begun), go=str(go), deadline=DEADLINE)
    return plugin_folder(tmp_path / "gated", gated=source), begun, go


def wait_for(path):
    until = time.monotonic() + DEADLINE
    while not path.exists():
        assert time.monotonic() < until, f"no {path}"
        time.sleep(0.01)


def test_ctrl_c_ends_with_what_is_done_so_far(tree, gated):
    plugins, begun, go = gated
    child = start("--json", "--workers", 2, "--plugins", plugins, tree)
    wait_for(begun)
    child.send_signal(signal.SIGINT)
    said = read_until(child, b"Ctrl-C again ends at once\n")
    go.touch()
    out, rest = child.communicate(timeout=DEADLINE)
    assert child.returncode == 130, said + rest
    assert b"indexer: interrupted (KeyboardInterrupt)" in said
    ours = json.loads(out.splitlines()[-1])
    assert ours["interrupted"] is True
    assert 1 <= ours["files"] <= 2
    assert ours["words"] == ours["files"]
    assert ours["plugin_errors"] == 0
    assert b"interrupted, so this is only what was done so far" in out


def test_ctrl_c_in_the_middle_of_the_standard_library_ends_it_in_order():
    child = start("--json", "--workers", 2)
    read_until(child, b" files\n")
    child.send_signal(signal.SIGINT)
    out, rest = child.communicate(timeout=DEADLINE)
    assert child.returncode == 130, rest
    ours = json.loads(out.splitlines()[-1])
    assert ours["interrupted"] is True
    assert 1 <= ours["files"] < 100000
    assert ours["words"] > 0
    assert b"Traceback" not in rest and b"Fatal" not in rest


def test_second_ctrl_c_ends_at_once(tree, gated):
    plugins, begun, _ = gated
    child = start("--workers", 1, "--plugins", plugins, tree)
    wait_for(begun)
    child.send_signal(signal.SIGINT)
    read_until(child, b"Ctrl-C again ends at once\n")
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=DEADLINE) == -signal.SIGINT
    child.communicate()


def test_ctrl_c_in_a_comparison_keeps_the_totals(tree, tmp_path):
    plugins = plugin_folder(
        tmp_path / "plugins",
        second="""
import os, signal

rounds = 0

def begin():
    global rounds
    rounds += 1
    if rounds == 2:
        os.kill(os.getpid(), signal.SIGINT)

def index(path, data):
    return {"words": 1}
""",
    )
    ours = index("--compare", "--plugins", plugins, tree, status=130, preexec_fn=heed_ctrl_c)
    assert ours["interrupted"] is False
    assert ours["comparison"] == {"complete": False}
    assert ours["words"] == 12


def test_ctrl_c_while_a_plugin_is_loaded_ends_it(tree, tmp_path):
    strike = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    plugins = plugin_folder(tmp_path / "plugins", early=strike, later="def index(path, data): pass\n")
    done = run("--json", "--plugins", plugins, tree, preexec_fn=heed_ctrl_c)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == f"indexer: interrupted while loading {plugins}/early.py\n"


def test_ctrl_c_while_plugins_begin_ends_it(tree, tmp_path):
    plugins = plugin_folder(
        tmp_path / "plugins",
        begins="""
import os, signal

def begin():
    os.kill(os.getpid(), signal.SIGINT)

def index(path, data): pass
""",
    )
    ours = index("--plugins", plugins, tree, status=130, preexec_fn=heed_ctrl_c)
    assert ours["interrupted"] is True
    assert ours["plugin_errors"] == 0


# The command line and the terminal.


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["/no/such/folder"], "/no/such/folder does not exist: give a folder to index"),
        ([REFERENCE], f"{REFERENCE} is not a folder: give a folder to index"),
        (["--workers", "0"], "--workers takes a number from 1 to 256, not 0"),
        (["--workers", "257"], "--workers takes a number from 1 to 256, not 257"),
        (["--workers", "-1"], "--workers takes a number from 1 to 256, not -1"),
        (["--workers", "many"], "(see --help)"),
        (["--workers"], "(see --help)"),
        (["--colour"], "(see --help)"),
        (["/usr", "/tmp"], "one PATH only, not also /tmp (see --help)"),
        (["--plugins", "/no/such"], "/no/such does not exist: give a folder of plugins with --plugins"),
    ],
)
def test_mistake_is_answered_in_one_line(args, told):
    done = run(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("indexer: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_names_every_option_and_exit_status():
    done = run("--help")
    assert done.returncode == 0
    for word in ("--workers", "--plugins", "--json", "--compare", "--version", "PATH", "130"):
        assert word in done.stdout


def test_version_names_the_python_it_was_built_for(tmp_path):
    done = run("--version")
    assert done.returncode == 0
    minor = ".".join(index(tmp_path)["python"].split(".")[:2])
    assert done.stdout.startswith("indexer with raddle ")
    assert f"for Python {minor}" in done.stdout


def test_terminal_gets_one_line_that_is_drawn_again(tree, gated):
    plugins, begun, go = gated
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [PROGRAM, "--plugins", plugins, tree],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    seen = b""
    with os.fdopen(ours, "rb", buffering=0) as screen:
        while seen.count(b"\r") < 3:
            seen += screen.read(4096)
        go.touch()
        while True:
            try:
                chunk = screen.read(4096)
            except OSError:  # EIO: the other end is closed
                break
            if not chunk:
                break
            seen += chunk
    assert child.wait(timeout=DEADLINE) == 0
    assert b"\rindexing [" in seen
    assert b" of 12 files" in seen
    assert seen.endswith(b"\r\x1b[K")


def test_output_is_the_same_in_another_locale(tree):
    ours = index(tree, env={**os.environ, "LC_ALL": "C"})
    assert ours["files"] == 12
    assert isinstance(ours["seconds"], float)
