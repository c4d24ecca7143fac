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

# Asks the environment itself, so that nothing needs to be remembered between runs.
missing=$("$python" - "${lists[@]}" <<'PY'
import importlib.metadata
import sys

for path in sys.argv[1:]:
    for line in open(path, encoding="utf-8"):
        requirement = line.strip()
        if not requirement or requirement.startswith("#"):
            continue
        name, _, version = requirement.partition("==")
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = None
        if found != version:
            print(requirement)
PY
)
[ -n "$missing" ] || exit 0

mapfile -t packages <<<"$missing"
say "installing ${packages[*]}"
# The lists are complete, so pip has nothing to resolve.
"$python" -m pip install --quiet --disable-pip-version-check --no-deps "${packages[@]}"
