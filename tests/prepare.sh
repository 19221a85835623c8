#!/bin/sh
# Installs what the live tests need on a Debian machine. Run as root; running it again does no harm.
#
#   tests/prepare.sh [DIRECTORY]
#
# The packages come from the configured apt sources, uv from the configured Python package index. pip
# and uv go to DIRECTORY, by default `test-tools` in cargo's target directory, where the tests look;
# for another place set PYHOOKWATCH_TEST_TOOLS to it when running them.
set -eu

cd "$(dirname "$0")/.."
tools=${1:-${PYHOOKWATCH_TEST_TOOLS:-${CARGO_TARGET_DIR:-target}/test-tools}}

# Those of the packages that are not there yet.
missing=
for package in python3 python3-venv rsyslog util-linux mount dpkg fatrace; do
    case $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) in
    installed) ;;
    *) missing="$missing $package" ;;
    esac
done
if [ -n "$missing" ]; then
    apt-get update
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
fi

if ! "$tools/bin/pip" --version >/dev/null 2>&1; then
    rm -rf "$tools"
    python3 -m venv "$tools"
fi
if ! "$tools/bin/uv" --version >/dev/null 2>&1; then
    "$tools/bin/pip" install --quiet --disable-pip-version-check uv
fi
echo "ready: $tools has $("$tools/bin/pip" --version | cut -d' ' -f1,2) and $("$tools/bin/uv" --version)"
