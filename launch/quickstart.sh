#!/bin/sh
# usage: launch/quickstart.sh
# From a bare machine to a report: installs, builds, makes a synthetic log whose truth is known, trains on
# every core under MPI, and checks the estimates against the truth. Can be run again; it starts over.
set -eu
cd "$(dirname "$0")/.."
log=quickstart/log
run=quickstart/run

stages=""
stage_start=$(date +%s)
whole_start=$stage_start
stage_done() {
  now=$(date +%s)
  stages="$stages$(printf '  %-8s %4d s' "$1" $((now - stage_start)))
"
  stage_start=$now
}

# A line each tenth of what `make` or `ninja` builds, read from their output.
build_progress() {
  told=0
  while IFS= read -r line; do
    case $line in
      "["*%"]"*) percent=${line%%\%*} percent=${percent##*[[ ]} ;;
      "["[0-9]*/[0-9]*"]"*)
        step=${line#[} step=${step%%/*} all=${line#*/} all=${all%%]*}
        percent=$((100 * step / all)) ;;
      *) continue ;;
    esac
    if [ "$((percent / 10))" -gt "$told" ]; then
      told=$((percent / 10))
      echo "build: $percent %"
    fi
  done
}

./launch/install.sh
stage_done install

. launch/machine.sh
cores=$(usable_cores)
echo "build: $(compile_jobs) compilers at once"
build_log=quickstart/build.log
mkdir -p quickstart
rm -f "$build_log.failed"
{
  if ! cmake -S . -B build -DALM_TESTS=OFF || ! cmake --build build --parallel "$(compile_jobs)"; then
    : >"$build_log.failed"
  fi
} 2>&1 | tee "$build_log" | build_progress
[ ! -e "$build_log.failed" ] || { cat "$build_log"; exit 2; }
stage_done build

# A batch of the default size has 16 micro-blocks, so at most 16 ranks; more cores become their threads.
ranks=$cores
[ "$ranks" -le 16 ] || ranks=16
binding=""
[ "$ranks" -eq "$cores" ] || binding="--bind-to none"
if ! command -v mpirun >/dev/null; then
  echo "quickstart: no mpirun here; training in one process"
  start=""
else
  start="mpirun --oversubscribe $binding -n $ranks"
fi

rm -rf "$log" "$run"
# shellcheck disable=SC2086  # a command of several words
$start build/alm synth --out "$log"
stage_done synth
# shellcheck disable=SC2086
$start build/alm train --log "$log" --out "$run"
stage_done train

# One key a line: the first of its name after "truth".
truth() {
  awk -v key="\"$1\":" '/"truth":/ { inside = 1 }
    inside && index($0, key) { sub(/.*: */, ""); sub(/,? *$/, ""); print; exit }' "$run/estimates.json"
}
spearman=$(truth cluster_spearman)
ratio=$(truth ratio)
stage_done check

echo
echo "time ($ranks ranks on $cores cores):"
printf '%s' "$stages"
echo "  whole    $(printf '%4d' $(($(date +%s) - whole_start))) s"
echo
LC_ALL=C awk -v s="$spearman" -v r="$ratio" 'BEGIN {
  if (s ~ /^[-0-9.]/) s = sprintf("%.3f", s)
  if (r ~ /^[-0-9.]/) r = sprintf("%.3f", r)
  print "against the truth: cluster_spearman " s " (at least 0.95), ratio " r " (0.95 to 1.05)" }'
echo "report: $(pwd)/$run/report.html"
if ! awk -v s="$spearman" -v r="$ratio" \
  'BEGIN { exit !(s ~ /^[-0-9.]/ && r ~ /^[-0-9.]/ && s >= .95 && r >= .95 && r <= 1.05) }'; then
  echo "quickstart: the estimates are off" >&2
  exit 1
fi
