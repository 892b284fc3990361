#!/bin/sh
# usage: launch/test.sh [LABEL...]
# Installs what is missing, builds everything and runs the tests, or only those of the given labels
# (base kernels io engine launch mpi lint scripts). ALM_DATA names the folder of the real data sets,
# ALM_REQUIRE what may not be skipped (cuda-toolkit,real-data). ALM_BUILD: another build folder.
set -eu
cd "$(dirname "$0")/.."
build=${ALM_BUILD:-build}

./launch/install.sh --tests
. launch/machine.sh
cmake -S . -B "$build" -DALM_TESTS=ON
cmake --build "$build" --parallel "$(compile_jobs)"

labels=""
for label in "$@"; do labels="${labels:+$labels|}$label"; done
cd "$build"
ctest --output-on-failure -j "$(usable_cores)" ${labels:+-L "^($labels)\$"}
