#!/bin/sh
# usage: lost_rank.sh MPIEXEC PROGRAM
# A rank killed or aborting must end the whole job within 10 s, with its exit code.
set -u
for case in "kill 137" "abort 75"; do
  mode=${case% *} wanted=${case#* }
  start=$(date +%s)
  timeout -k 5 30 "$1" --oversubscribe -n 3 "$2" "$mode"
  code=$? seconds=$(($(date +%s) - start))
  echo "$mode: mpirun ended with $code after $seconds s"
  [ "$code" -eq "$wanted" ] || { echo "wanted exit code $wanted"; exit 1; }
  [ "$seconds" -le 10 ] || { echo "took more than 10 s"; exit 1; }
done
