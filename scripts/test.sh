#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: scripts/test.sh fast|slow
#
# Runs the C++ tests of build/release and then the Python and command-line tests: the fast ones, or the slow ones.
# Expects `make build` to have run.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage_if_asked "$@"

case "${1-}" in
  fast) ctest_labels=(-LE slow) pytest_markers="not slow" ;;
  slow) ctest_labels=(-L slow) pytest_markers="slow" ;;
  *) die "tests: '${1-}', expected fast or slow" ;;
esac
cd "$root"

# Both run to their end, so that one look shows all that fails.
failed=0
ctest --test-dir build/release "${ctest_labels[@]}" -j "$TRIVIUM_JOBS" --output-on-failure || failed=1
"$python" -m pytest tests/python tests/cli -m "$pytest_markers" -p no:cacheprovider || failed=1
exit "$failed"
