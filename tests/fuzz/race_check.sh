#!/bin/sh
# usage: tests/fuzz/race_check.sh
# The thread pool, the ring of batches read ahead and the other streams under ThreadSanitizer, in
# build-thread. The rest stays out: oneDNN, HDF5 and MPI are not built for it and would be taken for
# racing.
set -eu
cd "$(dirname "$0")/../.."
build="build-thread"

. launch/machine.sh
cmake -S . -B "$build" -DALM_SANITIZE=thread >/dev/null
cmake --build "$build" --parallel "$(compile_jobs)" --target tests_base tests_io
"$build/tests_base" --gtest_filter='ThreadPool*'
"$build/tests_io" --gtest_filter='*Stream*'
