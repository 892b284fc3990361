#!/bin/sh
# usage: launch/bench/critic.sh OUT_DIR [JOURNEYS]
# The tables of docs/results.md on the critic: its weights against the ideal density ratio of level B, what
# all-batch and top-K weights make of Lambda, and the program's own check of Lambda. Seeds 1 and 2, 300,000
# journeys by default. ALM names the program (default build/alm), CRITIC_TABLE the table's (default
# build/critic_table, built with the tests), RANKS the ranks of each run (default 2).
set -eu
out=$1
journeys=${2:-300000}
alm=${ALM:-build/alm}
table=${CRITIC_TABLE:-build/critic_table}
ranks=${RANKS:-2}
mkdir -p "$out"
. "$(dirname "$0")/../machine.sh"

number() { # file, key of identification.lambda
  awk -v key="\"$2\":" '/^    "lambda": \{$/ { inside = 1 } inside && index($0, key) { sub(/.*: */, ""); sub(/,? *$/, ""); printf "%.4f", $0; exit }' "$1"
}
for seed in 1 2; do
  log=$out/log_$seed
  run=$out/run_$seed
  [ -d "$log" ] || "$alm" synth --quiet --out "$log" --journeys "$journeys" --seed "$seed" >/dev/null
  [ -f "$run/estimates.json" ] ||
    mpirun --oversubscribe -n "$ranks" "$alm" train --quiet --log "$log" --out "$run" >"$run.txt" 2>&1
  echo "seed $seed: Lambda by the second stage $(number "$run/estimates.json" second_stage), by the critic $(number "$run/estimates.json" critic), disagreement $(number "$run/estimates.json" disagreement)"
  "$table" "$run" "$log" "$seed" 2>&1
  echo
done
