"""Put the crates that libraddle is made of into the tarball of `meson dist`.

They go to glue/capi/embed/vendor, where cargo_build.py looks for them: so a
project that has the tarball as a subproject builds it without a network.
"""
import os
import pathlib
import subprocess
import sys

embed = pathlib.Path(os.environ["MESON_DIST_ROOT"], "glue/capi/embed")
command = [sys.argv[1], "vendor", "--quiet", "--locked", "--manifest-path", str(embed / "Cargo.toml"),
           str(embed / "vendor")]
sys.exit(subprocess.run(command, stdout=subprocess.DEVNULL).returncode)
