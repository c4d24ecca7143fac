#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: scripts/setup_system.sh [LIST]
#
# Installs the Debian packages named in LIST (default: scripts/apt-packages.txt) that are missing.
# Uses sudo when not root. Does nothing, and needs neither root nor network, when all are there.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage_if_asked "$@"

list=${1:-$root/scripts/apt-packages.txt}
[ -r "$list" ] || die "package list: $list, expected a readable file"
command -v dpkg-query >/dev/null || die "no dpkg-query, expected a Debian 12 machine"

mapfile -t wanted < <(grep -v '^#' "$list")

# A virtual package such as libgmock-dev may be provided by another, so ask for the state of each by name.
missing=()
for package in "${wanted[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null || true)
  grep -qx installed <<<"$state" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || die "missing ${missing[*]}: not root and no sudo, expected one of them"
  as_root=(sudo)
fi

apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}
install_missing() { apt install --no-install-recommends "${missing[@]}"; }

say "installing ${missing[*]}"
# The package lists are fetched only when they are absent or too old to install from.
if [ -n "$(apt-cache --names-only search '^make$' 2>/dev/null)" ]; then
  install_missing && exit 0
fi
apt update
install_missing
