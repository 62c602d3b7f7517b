"""Build the static library of raddle with cargo and hand it to meson.

Writes the archive to --output and a make-style --depfile that names every
source, so ninja knows when to call cargo again and nobody keeps a list.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cargo", required=True)
    parser.add_argument("--python", required=True, help="the interpreter to build for")
    parser.add_argument("--profile", required=True, choices=["dev", "release"])
    for name in ("manifest", "target-dir", "output", "depfile"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    return parser.parse_args()


def vendored(folder):
    """The arguments that let cargo work without network, if `meson dist` put the crates there."""
    if not folder.is_dir():
        return []
    return ["--offline", "--config", 'source.crates-io.replace-with="vendored"',
            "--config", f'source.vendored.directory="{folder}"']


def sources(rule):
    """The files of a depfile rule; a directory stands for all that is in it."""
    for name in re.split(r"(?<!\\) ", rule.split(": ", 1)[1].strip()):
        path = pathlib.Path(name.replace("\\ ", " "))
        yield path
        if path.is_dir():
            yield from path.rglob("*")


def manifests(paths):
    """The Cargo.toml of each crate that one of the paths belongs to, and of its workspace."""
    folders = {folder for path in paths for folder in path.parents}
    return {folder / "Cargo.toml" for folder in folders if (folder / "Cargo.toml").exists()}


def main():
    args = options()
    # One path for one crate: by way of a link in subprojects/ cargo would take it for another, and
    # build it again beside the first.
    args.manifest = args.manifest.resolve()
    command = [args.cargo, "build", "--quiet", "--locked", "--manifest-path", str(args.manifest),
               "--profile", args.profile, "--target-dir", str(args.target_dir),
               *vendored(args.manifest.with_name("vendor"))]
    if subprocess.run(command, env={**os.environ, "PYO3_PYTHON": args.python}).returncode:
        sys.exit("cargo could not build raddle. If it says that the lock file needs to be updated: "
                 "cp Cargo.lock glue/capi/embed/ && cargo metadata --format-version 1 "
                 "--manifest-path glue/capi/embed/Cargo.toml >/dev/null")
    built = args.target_dir / ("debug" if args.profile == "dev" else args.profile)
    shutil.copyfile(built / "libraddle_embed.a", args.output)
    rule = (built / "libraddle_embed.d").read_text().splitlines()[0]
    needed = set(sources(rule))
    needed |= manifests(needed) | {args.manifest, args.manifest.with_name("Cargo.lock")}
    names = [str(path).replace(" ", "\\ ") for path in sorted(needed)]
    args.depfile.write_text(f"{args.output}: {' '.join(names)}\n")


main()
