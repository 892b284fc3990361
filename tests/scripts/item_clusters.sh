#!/bin/sh
# usage: item_clusters.sh ALM [MPIEXEC]
# Clusters fitted to a catalogue make the same log on any number of threads and ranks.
set -eu
alm=$1 mpiexec=${2:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# 3,001 items of 12 numbers without any structure, where rounding decides soonest; 5,003 touches.
awk 'BEGIN {
  srand(5)
  printf "item"; for (j = 0; j < 12; ++j) printf ",e%d", j; print ""
  for (i = 0; i < 3001; ++i) { printf "%d", i; for (j = 0; j < 12; ++j) printf ",%.6f", rand(); print "" }
}' >"$work/items.csv"
awk 'BEGIN {
  srand(6)
  print "user,item,seen,bought"
  for (i = 0; i < 5003; ++i) { u = int(i / 3); print u "," int(rand() * 3001) "," i % 2 "," u % 2 }
}' >"$work/touches.csv"
cat >"$work/map.ini" <<'INI'
[file]
form = touch
[columns]
user = user
cluster = item
mediator = seen
outcome = bought
INI

# import_as NAME COMMAND...: the hash of the log that COMMAND makes.
import_as() {
  name=$1
  shift
  timeout -k 5 100 "$@" import --in "$work/touches.csv" --mapping "$work/map.ini" --quiet \
    --cluster-file "$work/items.csv" --cluster-count 67 --out "$work/$name" >"$work/$name.text"
  sha256sum <"$work/$name/part-00000.h5"
}

one=$(import_as one env OMP_NUM_THREADS=1 "$alm")
for threads in 2 3; do
  if [ "$(import_as "threads$threads" env OMP_NUM_THREADS=$threads "$alm")" != "$one" ]; then
    echo "FAILED: $threads threads make another log"
    exit 1
  fi
done
if [ -n "$mpiexec" ] && [ "$(import_as ranks "$mpiexec" --oversubscribe -n 2 "$alm")" != "$one" ]; then
  echo "FAILED: 2 ranks make another log"
  exit 1
fi
if ! grep -q '^cluster 00' "$work/one.text"; then
  echo "FAILED: no clusters named"
  cat "$work/one.text"
  exit 1
fi
echo "clusters are the same on any number of threads and ranks"
