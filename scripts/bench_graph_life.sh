#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: scripts/bench_graph_life.sh [OPTION...]
#
# Building, filtering, replacing and reading while building, each beside its requirement, by
# bench/life/life_benchmark.py, whose options these are (--options lists them; --quick takes 20,000 vectors,
# --sections some of build,filters,churn,readers). Writes JSON and a table to build/bench/graph_life. Expects
# `make build` to have run; installs hnswlib in .venv-bench first. Nothing else should run on the machine meanwhile.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage_if_asked "$@"

cd "$root"
if [ "${1-}" = --options ]; then
  exec .venv-bench/bin/python bench/life/life_benchmark.py --help
fi
scripts/setup_bench.sh
exec .venv-bench/bin/python bench/life/life_benchmark.py "$@"
