#!/bin/sh
# usage: tests/fuzz/run_fuzzers.sh SECONDS
# Builds the coverage-guided fuzzers with clang in build-fuzz and runs each for so many seconds, from its
# seeds and from what earlier runs found (build-fuzz/corpus). An input that breaks one is left in
# build-fuzz/found; fuzz_NAME FILE repeats it in any build. Exit code 77: no such clang here.
set -eu
cd "$(dirname "$0")/../.."
seconds=$1
build="build-fuzz"

. launch/machine.sh
mkdir -p "$build/found"
echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' \
  >"$build/probe.cc"
if ! clang++ -fopenmp -fsanitize=fuzzer,address "$build/probe.cc" -o "$build/probe" 2>/dev/null; then
  echo "skipped: the fuzzers need clang with libFuzzer and OpenMP (Debian 12: clang, libclang-rt-14-dev and"
  echo "libomp-dev, some 600 MB)"
  exit 77
fi
cmake -S . -B "$build" -DALM_FUZZ=ON -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ >/dev/null
cmake --build "$build" --parallel "$(compile_jobs)" --target fuzzers

broken=0
for fuzzer in "$build"/fuzzer_*; do
  name=${fuzzer##*/fuzzer_}
  "$fuzzer" --write-seeds "$build/seeds/$name"
  mkdir -p "$build/corpus/$name"
  # Memory: an input of some kilobytes that asks for half a GiB is a bomb.
  if "$fuzzer" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=512 \
      -max_len=8192 -print_final_stats=1 -artifact_prefix="$build/found/$name-" \
      "$build/corpus/$name" "$build/seeds/$name" >"$build/$name.log" 2>&1; then
    echo "fuzzer $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$name.log") runs, good"
  else
    broken=$((broken + 1))
    echo "fuzzer $name: FAILED"
    tail -n 60 "$build/$name.log"
  fi
done
exit "$((broken > 0))"
