#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: scripts/format.sh [--check]
#
# Formats the C++ and Python sources in place; with --check, only says which are not formatted.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage_if_asked "$@"

"$root/scripts/setup_system.sh" "$root/scripts/apt-packages-lint.txt"
"$root/scripts/setup_python.sh" "$root/scripts/requirements-lint.txt"
cd "$root"

clang_options=(-i) ruff_options=()
if [ "${1-}" = --check ]; then
  clang_options=(--dry-run --Werror) ruff_options=(--check)
fi
git ls-files -z --cached --others --exclude-standard '*.cc' '*.h' | xargs -0 -r clang-format-14 "${clang_options[@]}"
"$python" -m ruff format --quiet "${ruff_options[@]}" python scripts tests bench examples
