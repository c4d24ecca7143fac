#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: scripts/setup_bench.sh
#
# Makes the virtual environment .venv-bench with the peers of scripts/requirements-bench.txt, the encoder that
# `bench_graph_routing.sh --extra` asks, and this tree's Python package. What cannot be installed is named and left
# out; the benchmark then reports a peer as absent.
# Expects `make build` to have run. Does only what is missing.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage_if_asked "$@"

environment=$root/.venv-bench
bench_python=$environment/bin/python
if ! "$bench_python" -c 'import pip' 2>/dev/null; then
  say "making .venv-bench"
  /usr/bin/python3 -m venv --clear "$environment"
fi

missing=$(missing_packages "$bench_python" "$root"/scripts/requirements-{bench,encoder}.txt)
packages=()
[ -z "$missing" ] || mapfile -t packages <<<"$missing"
for package in "${packages[@]}"; do
  say "installing $package"
  log=$environment/install-${package%%==*}.log
  "$bench_python" -m pip install --quiet --disable-pip-version-check --no-deps "$package" >"$log" 2>&1 ||
    say "could not install $package (see $log): $(grep -i error "$log" | tail -n 1)"
done

# The same sources as the package in .venv (scripts/build.sh keeps their digest), so one build serves both.
wanted=$(cat "$root/.venv/trivium-package.sha256" 2>/dev/null || true)
[ -n "$wanted" ] || die "no package in .venv, expected \`make build\` to have run"
stamp=$environment/trivium-package.sha256
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && (cd / && "$bench_python" -I -c 'import trivium' 2>/dev/null); then
  exit 0
fi
say "installing the Python package"
rm -f "$stamp"
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
export CXX=/usr/bin/c++ CMAKE_BUILD_PARALLEL_LEVEL=$TRIVIUM_JOBS
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w "$wheels" "$root/python"
"$bench_python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$wheels"/trivium-*.whl
echo "$wanted" >"$stamp"
