#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: scripts/setup_python.sh [LIST...]
#
# Makes the project's virtual environment .venv from Debian's own Python and installs the pinned packages of
# scripts/requirements{,-encoder,-test}.txt, and of further LISTs, that are missing or of another version.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage_if_asked "$@"

lists=("$root"/scripts/requirements{,-encoder,-test}.txt "$@")

if ! "$python" -c 'import pip' 2>/dev/null; then
  say "making .venv"
  /usr/bin/python3 -m venv --clear "$root/.venv"
fi

missing=$(missing_packages "$python" "${lists[@]}")
[ -n "$missing" ] || exit 0

mapfile -t packages <<<"$missing"
say "installing ${packages[*]}"
# The lists are complete, so pip has nothing to resolve.
"$python" -m pip install --quiet --disable-pip-version-check --no-deps "${packages[@]}"
