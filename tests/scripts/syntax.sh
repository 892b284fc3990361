#!/bin/sh
# usage: syntax.sh ROOT
# Every script parses; shellcheck finds nothing where it is installed.
set -eu
cd "$1"
scripts="launch/*.sh launch/slurm/*.sbatch tests/mpi/*.sh tests/scripts/*.sh tests/fuzz/*.sh .ci/run"
for script in $scripts; do
  case $(head -1 "$script") in
    *bash) bash -n "$script" ;;
    *) sh -n "$script" ;;
  esac
done
if command -v shellcheck >/dev/null; then
  # shellcheck disable=SC2086  # a list of patterns
  shellcheck -x $scripts
else
  echo "shellcheck is not installed; syntax only"
fi
