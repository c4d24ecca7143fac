#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: scripts/bench_graph.sh [OPTION...]
#
# Graph search beside the best peers, by bench/recall/graph_benchmark.py, whose options these are (--options lists
# them; --quick is the daily run). Writes the JSON, the table and the plots to build/bench/graph. Expects `make build`
# to have run; installs the peers in .venv-bench first. Nothing else should run on the machine meanwhile.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage_if_asked "$@"

cd "$root"
if [ "${1-}" = --options ]; then
  exec .venv-bench/bin/python bench/recall/graph_benchmark.py --help
fi
scripts/setup_bench.sh
exec .venv-bench/bin/python bench/recall/graph_benchmark.py "$@"
