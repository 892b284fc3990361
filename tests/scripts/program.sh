#!/bin/sh
# usage: program.sh ALM [MPIEXEC]
# Exit codes and what is said where.
set -u
alm=$1 mpiexec=${2:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# expect CODE PATTERN MOST_LINES COMMAND...: exit code, a line of stderr or stdout that matches, and the
# most lines that may be printed.
expect() {
  code=$1 pattern=$2 most=$3
  shift 3
  timeout -k 5 60 "$@" >"$work/text" 2>&1
  got=$?
  lines=$(grep -c . "$work/text")
  if [ "$got" -ne "$code" ] || ! grep -q -e "$pattern" "$work/text" || [ "$lines" -gt "$most" ]; then
    failures=$((failures + 1))
    echo "FAILED: $*"
    echo "  exit code $got (wanted $code), $lines lines (at most $most), wanted \"$pattern\":"
    sed 's/^/  | /' "$work/text"
  fi
}

expect 0 'usage: alm' 40 "$alm" --help
expect 1 'usage: alm' 40 "$alm"
expect 0 'HDF5' 20 "$alm" --version
expect 0 'CUDA driver *\(of CUDA\|not found\|not looked for\)' 20 "$alm" --version
expect 1 'did you mean inspect' 1 "$alm" inspcet
expect 1 'did you mean --log' 1 "$alm" inspect --lgo x
expect 1 'needs --log' 1 "$alm" inspect
expect 1 'no-such-log' 1 "$alm" inspect --log no-such-log
expect 1 'ALM_\|environment' 1 env ALM_THREADS=many "$alm" inspect --log x
expect 1 'ALM_LGO is ignored.*did you mean ALM_LOG' 2 env ALM_LGO=x "$alm" inspect
for command in $("$alm" --help | awk '/^  [a-z]+  / { print $1 }'); do
  expect 0 '--config' 400 "$alm" "$command" --help
done
expect 1 'SLURM_STEP_NUM_TASKS' 1 env -u OMPI_COMM_WORLD_SIZE SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=3 \
  "$alm" --help
# Output that cannot be written is a fault of the machine.
# shellcheck disable=SC2016  # the inner shell expands it
expect 2 'write' 1 sh -c '"$0" --help >/dev/full' "$alm"

# What a job would take: as alm train is told, of any number of ranks, on a machine with less.
"$alm" synth --out "$work/log" --journeys 3000 --shape tiny --quiet
plan() {
  status=$1 said=$2 lines=$3
  shift 3
  expect "$status" "$said" "$lines" "$alm" plan --log "$work/log" --out run --quiet --device cpu "$@"
}
plan 0 '1 fit in all' 20 --model tiny
plan 0 '"steps_per_epoch": 36' 90 --json --batch=64
plan 0 'fold1  *1  *[1-9]' 20 --folds 2
plan 0 'bootstrap  *4  *[1-9]' 20 --bootstrap-fits 4
plan 0 'shuffled_treatment  *1  *[1-9]' 22 --controls all
plan 0 '"name": "shuffled_mediator"' 110 --json --controls=shuffled_mediator
# More than any host has.
plan 0 '1000 ranks of one host take ' 20 --ranks=1000 --batch=256000 --item-rows=100000000
plan 0 '16 ranks of ' 20 --ranks 16
plan 1 '17 ranks, but a batch has only 16' 1 --ranks 17
plan 1 "memory 'much' is not a size" 1 --memory much
plan 1 'more than --memory 100M' 20 --memory 100M
plan 1 'wanted tiny or reference' 1 --model huge

if [ -n "$mpiexec" ]; then
  expect 0 'usage: alm' 40 "$mpiexec" --oversubscribe -n 3 "$alm" --help
  expect 1 'no-such-log' 100 "$mpiexec" --oversubscribe -n 3 "$alm" inspect --log no-such-log
  said=$(grep -c 'error.*no-such-log' "$work/text")
  if [ "$said" -ne 1 ]; then
    failures=$((failures + 1))
    echo "FAILED: an error of all ranks was said $said times"
    cat "$work/text"
  fi
fi
[ "$failures" -eq 0 ] && echo "the program behaves"
exit "$failures"
