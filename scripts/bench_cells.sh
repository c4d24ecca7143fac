#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: scripts/bench_cells.sh [OPTION...]
#
# What queries read of a partition tree's cells, beside FAISS IVF, by bench/tree/cells_benchmark.py, whose options these
# are (--options lists them). JSON and a table are written to build/bench/cells. Expects `make build` to have run;
# installs the bench's packages in .venv-bench first.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage_if_asked "$@"

cd "$root"
if [ "${1-}" = --options ]; then
  exec .venv-bench/bin/python bench/tree/cells_benchmark.py --help
fi
scripts/setup_bench.sh
exec .venv-bench/bin/python bench/tree/cells_benchmark.py "$@"
