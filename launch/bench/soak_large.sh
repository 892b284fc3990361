#!/bin/sh
# usage: launch/bench/soak_large.sh DIR [JOURNEYS]
# Writes a log of 1e8 (or JOURNEYS) journeys with two context columns into DIR, inspects it (every column, every checksum)
# and reads it once as training and estimating do; prints wall clock, processor time and peak memory of
# each step and deletes the log. About 90 bytes of disk a journey. ALM names the program (default build/alm).
set -eu
dir=$1
journeys=${2:-100000000}
alm=${ALM:-build/alm}
log=$dir/soak_log
mkdir -p "$dir"
trap 'rm -rf "$log"' EXIT

step() { # name, command
  name=$1; shift
  /usr/bin/time -f "$name: %e s, %U + %S s of processor time, %M KiB at its peak" "$@"
}
step "synth of $journeys journeys" "$alm" synth --quiet --out "$log" --shape tiny --journeys "$journeys"
du -sh "$log" | cut -f1
step inspect "$alm" inspect --quiet --log "$log" --json >"$dir/inspect.json"
grep -m1 '"rows"' "$dir/inspect.json"
step read "$alm" bench loader --log "$log" --threads 2 --seconds 0
