#!/bin/sh
# usage: launch/bench/soak_metrics.sh [SCORES]
# Exact AUC and uplift areas of 1e9 (or SCORES) scores, drawn in two passes and kept nowhere: on one rank of
# two threads, on two ranks and on three; prints wall clock, processor time and peak memory of the largest
# process, and fails when a digit differs between them. ALM names the program (default build/alm).
set -eu
scores=${1:-1000000000}
alm=${ALM:-build/alm}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

measure() { # ranks, threads
  launcher=
  if [ "$1" -gt 1 ]; then launcher="mpirun --oversubscribe --bind-to none -n $1"; fi
  /usr/bin/time -f "%e s, %U + %S s of processor time, %M KiB at its peak" \
    $launcher "$alm" bench metrics --rows "$scores" --threads "$2" --json "$dir/$1.json"
  python3 -c "
import json, sys
line = json.load(open(sys.argv[1]))
print(*(line[key] for key in ('rows', 'auc', 'auc_one_pass_bound', 'auuc_sk', 'qini_sk')))" \
    "$dir/$1.json" >"$dir/$1.areas"
  cmp "$dir/1.areas" "$dir/$1.areas"
}
measure 1 2
measure 2 1
measure 3 1
echo "the same digits on 1, 2 and 3 ranks: $(cat "$dir/1.areas")"
