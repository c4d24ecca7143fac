#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: scripts/bench.sh
#
# Runs the micro-benchmarks of build/release, then the comparisons of bench/recall with other libraries in one
# process; results also go to build/bench. Expects `make build` to have run.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage_if_asked "$@"

cd "$root"
scripts/setup_python.sh scripts/requirements-bench.txt
mkdir -p build/bench
for program in build/release/bin/trivium_bench_*; do
  say "$program"
  "$program" --benchmark_out="build/bench/$(basename "$program").json" --benchmark_out_format=json
done
for program in bench/recall/*.py; do
  say "$program"
  "$python" "$program" --output "build/bench/$(basename "$program" .py).json"
done
