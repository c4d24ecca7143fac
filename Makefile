# SPDX-License-Identifier: Apache-2.0
# A thin front of scripts/ and CMakePresets.json; each target does its own set-up first.
.DEFAULT_GOAL := help
.PHONY: help setup build test test-slow quickstart bench bench-graph bench-graph-quick bench-graph-life bench-graph-routing bench-graph-routing-full bench-cells bench-tree bench-dispatch bench-adapters bench-lexical bench-guard bench-feedback bench-engines bench-query-domains bench-generalisation bench-route-cost format lint clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-25s %s\n", $$1, $$2}' Makefile

setup:
	@scripts/setup_system.sh
	@scripts/setup_python.sh

build: setup  ## install what is missing, build build/release/bin/trivium and the Python package in .venv
	@scripts/build.sh release

test: build  ## build and run the fast tests
	@scripts/test.sh fast

test-slow: build  ## build and run the slow tests
	@scripts/test.sh slow

quickstart: setup  ## build without tests, and do the main job on real texts from Debian packages
	@scripts/build.sh --without-tests release
	@scripts/quickstart.sh

bench: build  ## micro-benchmarks
	@scripts/bench.sh

bench-graph: build  ## graph search beside the best peers: JSON, table and plots in build/bench/graph
	@scripts/bench_graph.sh

bench-graph-quick: build  ## the same on 20,000 vectors with few contenders, for daily use
	@scripts/bench_graph.sh --quick

bench-graph-life: build  ## build, filters, churn and readers of the graph index, each beside its requirement
	@scripts/bench_graph_life.sh

bench-graph-routing: build  ## learned routing: the paper's effect, and what training a graph gives
	@scripts/bench_graph_routing.sh

bench-graph-routing-full: build  ## the same with three seeds each and more training queries
	@scripts/bench_graph_routing.sh --full --extra

bench-tree: build  ## trees as representations of the 17 collections of the development data, as JSON
	@.venv/bin/python bench/tree/tree_benchmark.py

bench-cells: build  ## what routers of a partition tree's cells read, beside FAISS IVF: JSON and table in build/bench/cells
	@scripts/bench_cells.sh

bench-dispatch: build  ## build, train and evaluate on the collections of the development data, as JSON
	@.venv/bin/python bench/dispatch/dispatch_benchmark.py

bench-adapters: build  ## learn query adapters on the collections of the development data, as JSON
	@.venv/bin/python bench/dispatch/adapter_benchmark.py

bench-lexical: build  ## BM25 alone and beside vectors on the collections of the development data, as JSON
	@.venv/bin/python bench/dispatch/lexical_benchmark.py

bench-guard: build  ## tell queries out of scope from those in domain on CLINC150, as JSON
	@.venv/bin/python bench/dispatch/guard_benchmark.py

bench-feedback: build  ## drift won back by feedback, and poison, on the collections of the development data
	@.venv/bin/python bench/dispatch/feedback_benchmark.py

bench-engines: build  ## which of 16 search engines to ask first, on FeB4RAG, as JSON
	@.venv/bin/python bench/dispatch/engine_selection_benchmark.py

bench-query-domains: build  ## which of 20 BEIR data sets a query is from, as JSON
	@.venv/bin/python bench/dispatch/query_domain_benchmark.py

bench-generalisation: build  ## dispatch for collections without judged queries, and from few judgements, as JSON
	@.venv/bin/python bench/dispatch/generalisation_benchmark.py leave-out
	@.venv/bin/python bench/dispatch/generalisation_benchmark.py few

bench-route-cost: build  ## what choosing experts costs, by pilots and by experts, as JSON
	@.venv/bin/python bench/dispatch/route_cost_benchmark.py

format:  ## format the sources in place
	@scripts/format.sh

lint: build  ## formatting, shellcheck, ruff, mypy, clang-tidy
	@scripts/lint.sh

clean:  ## remove build results; keeps .venv
	rm -rf build dist
