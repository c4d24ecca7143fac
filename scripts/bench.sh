#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: scripts/bench.sh
#
# Runs the micro-benchmarks of build/release; results also go to build/bench. Expects `make build` to have run.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage_if_asked "$@"

cd "$root"
mkdir -p build/bench
for program in build/release/bin/trivium_bench_*; do
  say "$program"
  "$program" --benchmark_out="build/bench/$(basename "$program").json" --benchmark_out_format=json
done
