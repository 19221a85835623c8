#!/bin/sh
# Installs what the live tests need on a Debian machine. Run as root; a second run changes nothing.
#
#   tests/prepare.sh [DIRECTORY]
#
# The packages come from the configured apt sources, uv from the configured Python package index. pip
# and uv go to DIRECTORY, by default `test-tools` in cargo's target directory, where the tests look.
# PYHOOKWATCH_TEST_TOOLS names another directory for the tests.
set -eu

cd "$(dirname "$0")/.."
tools=${1:-${PYHOOKWATCH_TEST_TOOLS:-${CARGO_TARGET_DIR:-target}/test-tools}}

# The links by which systemd and init scripts enable a service.
enabled_services() {
    find /etc/systemd/system /etc/rc?.d -type l 2>/dev/null | sort
}

# Installs a list of packages. Their services are neither started (policy-rc.d) nor left enabled.
install_without_services() {
    policy=/usr/sbin/policy-rc.d
    work=$(mktemp -d)
    [ ! -e "$policy" ] || mv "$policy" "$work/policy-rc.d"
    trap 'rm -f "$policy"; [ ! -e "$work/policy-rc.d" ] || mv "$work/policy-rc.d" "$policy"; rm -rf "$work"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    enabled_services >"$work/before"
    apt-get update
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $1
    enabled_services >"$work/after"
    comm -13 "$work/before" "$work/after" | while read -r link; do
        echo "not enabled: $link"
        rm "$link"
    done
    rm -f "$policy"
    [ ! -e "$work/policy-rc.d" ] || mv "$work/policy-rc.d" "$policy"
    rm -rf "$work"
    trap - EXIT
}

# The packages that are missing.
missing=
for package in python3 python3-venv rsyslog util-linux mount dpkg fatrace; do
    case $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) in
    installed) ;;
    *) missing="$missing $package" ;;
    esac
done
if [ -n "$missing" ]; then
    install_without_services "$missing"
fi

if ! "$tools/bin/pip" --version >/dev/null 2>&1; then
    rm -rf "$tools"
    python3 -m venv "$tools"
fi
if ! "$tools/bin/uv" --version >/dev/null 2>&1; then
    "$tools/bin/pip" install --quiet --disable-pip-version-check uv
fi
echo "ready: $tools has $("$tools/bin/pip" --version | cut -d' ' -f1,2) and $("$tools/bin/uv" --version)"
