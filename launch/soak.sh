#!/bin/sh
# usage: launch/soak.sh [MUTANTS [FUZZ_SECONDS [SEED]]]
# What is too long for the continuous check: the streams under ThreadSanitizer, MUTANTS (10,000) damaged
# logs given to the program, then each coverage-guided fuzzer for FUZZ_SECONDS (600). Another SEED makes
# other mutants. About two hours on two cores; docs/testing.md says what the output means.
set -eu
cd "$(dirname "$0")/.."
mutants=${1:-10000} seconds=${2:-600} seed=${3:-1}
build=${ALM_BUILD:-build}

sh tests/fuzz/race_check.sh
. launch/machine.sh
cmake -S . -B "$build" -DALM_TESTS=ON >/dev/null
cmake --build "$build" --parallel "$(compile_jobs)" --target alm log_digest
/usr/bin/python3 tests/fuzz/mutated_logs.py "$build/alm" "$build/log_digest" --cases "$mutants" \
  --seed "$seed"
sh tests/fuzz/run_fuzzers.sh "$seconds" || [ "$?" -eq 77 ]
