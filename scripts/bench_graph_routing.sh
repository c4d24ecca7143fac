#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: scripts/bench_graph_routing.sh [--full] [--without-paper] [OPTION...]
#
# What learning gives in the graph. First the effect of Baranchuk et al. 2019 by bench/graph_routing (result.json; one
# seed at M = 8, with --full three at M = 8 and 12; --without-paper leaves it out), then what `train_graph` gives
# beside its requirements, by bench/graph_learning/graph_learning_benchmark.py, whose options the others are
# (--options lists them; --dataset minilm-20k takes 20,000 vectors, --sections some of
# ablation,sizes,domains,inserts,cost, --extra trains with 70,000 queries more). JSON and tables are written to
# build/bench/graph_routing. Expects `make build` to have run; installs the bench's packages in .venv-bench first.
# Nothing else should run on the machine meanwhile.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage_if_asked "$@"

cd "$root"
learning=bench/graph_learning/graph_learning_benchmark.py
if [ "${1-}" = --options ]; then
  exec .venv-bench/bin/python "$learning" --help
fi
paper=(--m 8 --seeds 1 --methods plain untrained linear hidden)
with_paper=1 options=()
for option in "$@"; do
  case $option in
    --full) paper=() options+=(--full) ;;
    --without-paper) with_paper=0 ;;
    *) options+=("$option") ;;
  esac
done

scripts/setup_bench.sh
if [ "$with_paper" = 1 ]; then
  [ -x build/release/bin/trivium_bench_graph_routing ] || die "no trivium_bench_graph_routing, expected \`make build\`"
  .venv-bench/bin/python bench/graph_routing/graph_routing_benchmark.py ${paper[@]+"${paper[@]}"}
fi
exec .venv-bench/bin/python "$learning" ${options[@]+"${options[@]}"}
