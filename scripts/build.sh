#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: scripts/build.sh [--without-tests] [PRESET]
#
# Builds the engine, the command-line tool, the tests and the benchmarks by a preset of CMakePresets.json (default:
# release) into build/PRESET, and for `release` installs the Python package into .venv. Builds only what changed.
# With --without-tests only what a user of the engine needs.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage_if_asked "$@"

targets=(all)
if [ "${1-}" = --without-tests ]; then
  targets=(trivium_cli)
  shift
fi
preset=${1:-release}
cd "$root"
# One name for the compiler, so that the Python package's build finds in ccache what this build compiled.
export CXX=/usr/bin/c++ CMAKE_BUILD_PARALLEL_LEVEL=$TRIVIUM_JOBS

cmake --preset "$preset" --log-level=NOTICE
cmake --build "build/$preset" --target "${targets[@]}"
[ "$preset" = release ] || exit 0

# Everything that the package is made of; the tests, benchmarks and the command-line tool are not in it.
sources_digest() {
  {
    find CMakeLists.txt cmake base kernels storage index routing api python -name __pycache__ -prune -o \
      -path api/cli -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
    "$python" --version
    g++ --version
  } | sha256sum | cut -d' ' -f1
}

# The stamp lives in the environment that it speaks of, and the package is asked whether it is really there.
stamp=$root/.venv/trivium-package.sha256
digest=$(sources_digest)
if [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ] && (cd / && "$python" -I -c 'import trivium' 2>/dev/null); then
  exit 0
fi
say "installing the Python package"
rm -f "$stamp"
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall \
  "$root/python"
echo "$digest" >"$stamp"
