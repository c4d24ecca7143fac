#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: scripts/quickstart.sh
#
# The main job on real texts: six domains out of Debian packages become six experts of one store, a dispatcher
# learns from judged queries which expert answers what, and three questions are answered and explained.
# Expects `make build` to have run; leaves everything in build/quickstart.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage_if_asked "$@"

cd "$root"
trivium=build/release/bin/trivium
texts=build/quickstart
store=$texts/store
domains=(computing databases unix-api politics nature electronics)

step() { printf '\n== %s\n' "$*"; }
# Shows a command as one could type it, an option a line, and runs it.
run() {
  local word shown=""
  for word in "$@"; do
    case $word in
      --*) shown+=$' \\\n    '$word ;;
      *" "*) shown+=" \"$word\"" ;;
      *) shown+=" $word" ;;
    esac
  done
  printf '$%s\n' "$shown"
  "$@"
}

step "Texts and judged queries from Debian packages"
"$python" scripts/quickstart_texts.py "$texts"

corpora=() train=() test=()
for domain in "${domains[@]}"; do
  corpora+=(--corpus "$domain=$texts/$domain/corpus.jsonl")
  train+=(--queries "$domain=$texts/$domain/queries.train.jsonl" --qrels "$domain=$texts/$domain/qrels.train.tsv")
  test+=(--queries "$domain=$texts/$domain/queries.test.jsonl" --qrels "$domain=$texts/$domain/qrels.test.tsv")
done

step "Build: one expert a domain (a second run encodes only what is new)"
run "$trivium" build "$store" --encoder minilm "${corpora[@]}"

step "Train: which expert answers which kind of query"
run "$trivium" train dispatch "$store" "${train[@]}"

step "Evaluate on queries that the training has not seen"
run "$trivium" evaluate "$store" "${test[@]}" --compare

# Where the gate found that the router does not beat asking everybody, it stays off, and is asked by name here.
read -r enabled router < <("$trivium" inspect "$store" --json | "$python" -c '
import json, sys
dispatch = json.load(sys.stdin)["dispatch"]
print(dispatch["enabled"], dispatch["router"])')
ask=(--explain)
if [ "$enabled" != True ]; then
  ask+=(--router "$router")
  printf '\nOn these texts dispatch gains nothing sure over asking all six experts, so it stays off by default (the gate above).\n'
  printf 'The questions below ask the router by name, to show what it would do.\n'
fi

step "Ask"
questions=(
  "how does a process wait for its child to end"
  "a wading bird with white feathers"
  "why do workers occupy their factories"
)
for question in "${questions[@]}"; do
  run "$trivium" search "$store" "$question" -k 3 "${ask[@]}"
  echo
done

cat <<EOT
== What to try next
  $trivium search $store "keep two transactions from seeing each other's changes" --explain
  $trivium search $store "voltage regulator with low dropout" --experts all
  $trivium inspect $store
  $trivium --help
  .venv/bin/python -c 'import trivium; print(*trivium.open("$store").search("lock a file", k=3), sep="\n")'
  make test
EOT
