#!/usr/bin/env bash
# Installs real packages that ship start-up hooks, while pyhookwatch watches, and prints what it said of each.
#
#   tests/benign/run.sh PATH-OF-PYHOOKWATCH
#
# Ends with 1 when a hook was called worse than medium, when fewer than 30 packages were installed, or when one of
# the hooks that must be seen was not. Run it as root on Debian, after tests/prepare.sh. Everything is installed into an
# overlay of this machine, of which nothing is left. Downloads are kept in the directory that
# PYHOOKWATCH_BENIGN_CACHE names, by default `benign-cache` in cargo's target directory.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}
program=$(readlink -f "${1:?the path of pyhookwatch}")
tools=$(readlink -f "${PYHOOKWATCH_TEST_TOOLS:-$target/test-tools}")
cache=${PYHOOKWATCH_BENIGN_CACHE:-$target/benign-cache}
mkdir -p "$cache"/{pip,uv,apt/partial}
cache=$(readlink -f "$cache")

if [ "$(id -u)" != 0 ]; then
    echo "SKIPPED: must be run as root" >&2
    exit 77
fi

# In a mount namespace of its own, so that nothing stays mounted.
if [ -z "${PYHOOKWATCH_BENIGN_INSIDE:-}" ]; then
    PYHOOKWATCH_BENIGN_INSIDE=1 exec unshare --mount -- "$0" "$@"
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/pyhookwatch-benign.XXXXXX")
watcher=
finish() {
    [ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true
    # Parts of this machine are mounted below: nothing is removed while they are.
    if mountpoint --quiet "$scratch/machine" && ! umount --recursive --lazy "$scratch/machine"; then
        echo "$scratch is left, because something is still mounted there" >&2
        return
    fi
    umount --lazy "$scratch/layers" 2>/dev/null || true
    rmdir "$scratch/machine" && rm -rf --one-file-system "$scratch"
}
trap finish EXIT

mkdir "$scratch"/{layers,machine}
overlay() {
    # What is watched is the upper directory alone: what links lead to and dpkg's lists must be in it too.
    mkdir -p "$scratch/layers/upper/var/lib" "$scratch/layers/upper/etc" "$scratch/layers/work"
    cp -a /var/lib/dpkg "$scratch/layers/upper/var/lib/"
    cp -a /etc/python3* "$scratch/layers/upper/etc/"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/layers/upper,workdir=$scratch/layers/work" "$scratch/machine"
}
# An overlay cannot lie on another overlay, as in a container; it can on a tmpfs.
if ! overlay 2>/dev/null; then
    mount -t tmpfs tmpfs "$scratch/layers"
    overlay
fi
machine=$scratch/machine
mount -t proc proc "$machine/proc"
mount --rbind /dev "$machine/dev"
mkdir -p "$machine/var/cache/benign" "$machine/srv/tools"
mount --bind "$cache" "$machine/var/cache/benign"
mount --bind "$tools" "$machine$tools"
# An installer is this machine's own program, as it would be without an overlay.
own() {
    mount --bind "$1" "$machine$1"
}
own /usr/bin/dpkg
own /usr/bin/apt-get
for file in "$here"/install.py "$here"/packages.py; do
    cp "$file" "$machine/srv/tools/"
done

"$program" run --root "$scratch/layers/upper" --output stdout --format ecs >"$scratch/alerts" 2>"$scratch/messages" &
watcher=$!
for _ in $(seq 100); do
    grep --quiet ready "$scratch/messages" && break
    sleep 0.1
done
grep --quiet ready "$scratch/messages" || { cat "$scratch/messages" >&2; exit 1; }

begun=$SECONDS
# The overlay becomes the root of a mount namespace, so that an installer has the path it has without one.
# shellcheck disable=SC2016 # expanded inside
install() {
    unshare --mount --fork sh -euc '
        cd "$1"
        pivot_root . mnt
        exec chroot . /bin/sh -euc "umount --lazy /mnt; exec /usr/bin/python3 -I -B /srv/tools/install.py \"\$@\"" - "$2" "$3"
    ' - "$machine" "$tools" "$1" >>"$scratch/installed" || { echo "the installations failed" >&2; exit 1; }
}
# dpkg may replace Python, and cannot where something is mounted.
install debian
own "$(readlink -f /usr/bin/python3)"
[ ! -d /root/.pyenv/versions ] || own /root/.pyenv/versions
install wheels
# At SIGTERM the daemon delivers what is pending.
kill -TERM "$watcher"
wait "$watcher" || true
watcher=
grep -v "ready" "$scratch/messages" >&2 || true
echo "installed in $((SECONDS - begun)) s"
if [ -n "${PYHOOKWATCH_BENIGN_KEEP:-}" ]; then
    rm -rf "$PYHOOKWATCH_BENIGN_KEEP"
    mkdir -p "$PYHOOKWATCH_BENIGN_KEEP"
    cp "$scratch/alerts" "$scratch/installed" "$PYHOOKWATCH_BENIGN_KEEP/"
fi
PYTHONPATH=$here python3 -s -B "$here/table.py" "$scratch/alerts" "$scratch/installed"
