#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: scripts/lint.sh [FILE...]
#
# Checks formatting, the shell and Python sources, and with clang-tidy the given C++ files (default: all).
# Expects `make build` to have run: clang-tidy reads build/release/compile_commands.json.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage_if_asked "$@"

"$root/scripts/format.sh" --check
cd "$root"
shellcheck --external-sources scripts/*.sh .ci/run
"$python" -m ruff check python scripts tests bench examples
"$python" -m mypy --strict --ignore-missing-imports --follow-imports=silent --no-incremental python/trivium

files=("$@")
if [ ${#files[@]} -eq 0 ]; then
  mapfile -t files < <(git ls-files --cached --others --exclude-standard '*.cc' | grep -v '^examples/\|^python/')
fi
printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "$TRIVIUM_JOBS" clang-tidy-14 -quiet -p build/release
