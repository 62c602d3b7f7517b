#!/bin/sh
# The linker of this workspace: plain cc, fetched first on a Debian machine that has none.
# rustup brings no linker, so without this `cargo xtask` could not even build itself there.

install_cc() {
    if [ "$(id -u)" = 0 ]; then sudo=; else sudo='sudo -n'; fi
    if [ "${RADDLE_INSTALL:-yes}" = no ] || ! command -v apt-get >/dev/null || ! $sudo true 2>/dev/null; then
        echo "raddle needs a C compiler. Debian: apt-get install gcc libc6-dev; Fedora: dnf install gcc;" \
            "Arch: pacman -S gcc"
        return 1
    fi
    # cargo runs linkers side by side: one installs, the others wait for it.
    mkdir -p "${0%/*}/../target"
    exec 9>"${0%/*}/../target/cc.lock"
    flock 9
    command -v cc >/dev/null && return 0
    echo "raddle: no C compiler here; installing gcc"
    apt="$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300"
    $apt update && $apt install -y --no-install-recommends gcc libc6-dev
}

command -v cc >/dev/null || install_cc >&2 || exit 1
exec 9>&-
exec cc "$@"
