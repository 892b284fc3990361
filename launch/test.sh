#!/bin/sh
# usage: launch/test.sh [LABEL...]
# Installs what is missing, builds everything and runs the tests, or only those of the given labels
# (base kernels io engine launch mpi lint scripts fuzz cuda mutations). ALM_DATA names the folder of the real data sets,
# ALM_REQUIRE what may not be skipped (cuda-toolkit,real-data,avx512-bf16). ALM_BUILD: another build folder.
# ALM_WITHOUT: a label left out. ALM_CTEST: a further option of ctest. ALM_SANITIZE=address,undefined: built with these sanitizers, in a
# folder of its own.
set -eu
cd "$(dirname "$0")/.."
sanitize=${ALM_SANITIZE:-OFF}
build=${ALM_BUILD:-build}
if [ "$sanitize" != OFF ]; then
  build=${ALM_BUILD:-build-${sanitize%%,*}}
  # Memory that ends with the process is not looked at under MPI (tests/fuzz/leaks.txt).
  export LSAN_OPTIONS="suppressions=$PWD/tests/fuzz/leaks.txt:print_suppressions=0"
fi

./launch/install.sh --tests
. launch/machine.sh
cmake -S . -B "$build" -DALM_TESTS=ON -DALM_SANITIZE="$sanitize"
cmake --build "$build" --parallel "$(compile_jobs)"

labels=""
for label in "$@"; do labels="${labels:+$labels|}$label"; done
cd "$build"
ctest --output-on-failure -j "$(usable_cores)" ${ALM_CTEST:+"$ALM_CTEST"} ${labels:+-L "^($labels)\$"} \
  ${ALM_WITHOUT:+-LE "^$ALM_WITHOUT\$"}
