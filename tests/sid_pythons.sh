#!/bin/sh
# Unpacks Debian unstable's Pythons into a scratch directory and prints one runnable file a line, so that
# `tests/oracle/site.rs` can ask them too:
#
#   PYHOOKWATCH_ORACLE_PYTHONS="$(tests/sid_pythons.sh)" cargo test --test oracle site:: -- --nocapture
#
# Nothing is installed and the machine's own apt configuration is only read: lists, cache and state stand
# in the scratch directory, the mirror is the one this machine already uses. An interpreter runs with the
# libc that was unpacked beside it, called by its own loader.
set -eu

scratch=${1:-${TMPDIR:-/tmp}/pyhookwatch-sid-pythons}
versions=${PYHOOKWATCH_SID_VERSIONS:-3.13 3.14 3.15}

fail() {
    echo "sid_pythons.sh: $*" >&2
    exit 1
}

command -v apt-get >/dev/null || fail "there is no apt-get here"
# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
# shellcheck disable=SC2016 # apt expands it
mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' | sed -n "s/^$codename //p" | head -n 1)
[ -n "$mirror" ] || fail "no apt source of $codename names a mirror"
keys=$(find /usr/share/keyrings -name 'debian-archive-keyring.*' | head -n 1)
[ -n "$keys" ] || fail "the Debian keys are missing"

mkdir -p "$scratch/apt/lists/partial" "$scratch/apt/cache/archives/partial" "$scratch/debs"
scratch=$(cd "$scratch" && pwd)
echo "deb [signed-by=$keys] $mirror sid main" >"$scratch/apt/sources.list"
: >"$scratch/apt/status"

sid() {
    apt-get -q \
        -o Dir::Etc::sourcelist="$scratch/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o Dir::State::lists="$scratch/apt/lists" -o Dir::State::status="$scratch/apt/status" \
        -o Dir::Cache="$scratch/apt/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none "$@" >&2
}

sid update
packages="libc6 libexpat1 zlib1g"
for version in $versions; do
    packages="$packages python$version-minimal libpython$version-minimal libpython$version-stdlib"
done
# One after the other: a version that unstable has dropped must not take the others with it.
cd "$scratch/debs"
for package in $packages; do
    ls "${package}"_*.deb >/dev/null 2>&1 || sid download "$package" || echo "sid_pythons.sh: no $package" >&2
done
for deb in *.deb; do
    dpkg-deb -x "$deb" "$scratch/root"
done

loader=$(find "$scratch/root" -name 'ld-linux*.so.*' -type f | head -n 1)
[ -n "$loader" ] || fail "no loader in libc6"
libraries=$(dirname "$(find "$scratch/root" -name 'libc.so.6' | head -n 1)")
found=
for version in $versions; do
    program="$scratch/root/usr/bin/python$version"
    [ -x "$program" ] || continue
    runner="$scratch/python$version"
    printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' "$loader" "$libraries" "$program" >"$runner"
    chmod 755 "$runner"
    "$runner" -I -S -c 'import os' >&2 || fail "$runner does not run"
    found=yes
    echo "$runner"
done
[ -n "$found" ] || fail "none of $versions is in unstable"
