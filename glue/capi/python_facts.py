"""Say which Python raddle is built for, and how a host links it.

Takes the first that is given of: the argument, $RADDLE_PYTHON, and the
interpreter that pkg-config's python3-embed belongs to. Prints one line each:
executable, version with ABI flags, include directory, linker arguments, how the
names of extension modules end.
"""
import os
import shutil
import subprocess
import sys

ASK = """
import sys, sysconfig
get = sysconfig.get_config_var
shared = get('Py_ENABLE_SHARED') and not sysconfig.get_config_var('PYTHONFRAMEWORK')
print(sys.executable, '%d.%d%s' % (*sys.version_info[:2], sys.abiflags), get('INCLUDEPY'),
      get('LIBDIR'), get('LDVERSION') if shared else '', get('EXT_SUFFIX'), sep='\\n')
"""


def default_python():
    def pkg_config(*arguments):
        command = [os.environ.get("PKG_CONFIG", "pkg-config"), *arguments, "python3-embed"]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    try:
        version = pkg_config("--modversion")
        return f"{pkg_config('--variable=exec_prefix')}/bin/python{version}"
    except (OSError, subprocess.CalledProcessError):
        sys.exit("no Python to build for: pkg-config has no python3-embed. Install it (Debian: python3-dev, "
                 "Fedora: python3-devel, Arch: python), or name an interpreter: meson setup -Dpython=PATH")


def main():
    wanted = sys.argv[1] or os.environ.get("RADDLE_PYTHON") or default_python()
    found = shutil.which(wanted)
    if not found:
        sys.exit(f"{wanted} is no program: set -Dpython or RADDLE_PYTHON to the path of a Python interpreter")
    answer = subprocess.run([found, "-c", ASK], stdout=subprocess.PIPE, text=True)
    if answer.returncode:
        sys.exit(f"{found} does not run Python code: is it a Python 3 interpreter?")
    executable, abi, include, libdir, ldversion, suffix = answer.stdout.splitlines()
    if not os.path.exists(os.path.join(include, "Python.h")):
        sys.exit(f"no Python.h in {include}: install the development files of {executable} "
                 "(Debian: python3-dev, Fedora: python3-devel)")
    if not ldversion:
        sys.exit(f"{executable} has no shared libpython, and a host cannot embed a static one together "
                 "with extension modules: use one that was configured with --enable-shared")
    link = [f"-L{libdir}", f"-lpython{ldversion}"]
    if not libdir.startswith(("/usr/lib", "/lib")):
        link.append(f"-Wl,-rpath,{libdir}")
    print(executable, abi, include, " ".join(link), suffix.lstrip("."), sep="\n")


main()
