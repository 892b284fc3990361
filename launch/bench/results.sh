#!/bin/sh
# usage: launch/bench/results.sh OUT_DIR [DATA_DIR]
# The experiments of docs/results.md, printed as its tables: level B on four seeds and in the regimes where
# front-door is not needed or loses; JTPA and Hillstrom of DATA_DIR when it is given. ALM names the program
# (default build/alm), RANKS the ranks of each training run (default 2).
set -eu
out=$1
data=${2:-}
alm=${ALM:-build/alm}
ranks=${RANKS:-2}
mkdir -p "$out"
. "$(dirname "$0")/../machine.sh"

train() { # run, log, options
  run=$1; log=$2; shift 2
  [ -f "$out/$run/estimates.json" ] ||
    mpirun --oversubscribe -n "$ranks" "$alm" train --quiet --log "$log" --out "$out/$run" "$@" >"$out/$run.txt" 2>&1
}
truth() { # name, key
  awk -v key="\"$2\":" '/"truth": \{$/ { inside = 1; text = "" }
    inside && index($0, key) { sub(/.*: */, ""); sub(/,? *$/, ""); text = $0 }
    END { printf "%.3f", text }' "$out/$1/estimates.json"
}

echo "| log | Spearman | AUUC (0.5-1) | back-door AUUC | RMSE / sd | slope | ratio | coverage 95 % | median width |"
echo "|---|---|---|---|---|---|---|---|---|"
level_b() { # name, options of synth
  name=$1; shift
  [ -f "$out/$name/estimates.json" ] || [ -d "$out/log_$name" ] || "$alm" synth --quiet --out "$out/log_$name" "$@" >/dev/null
  train "$name" "$out/log_$name"
  rm -rf "$out/log_$name"
  share=$(awk -v a="$(truth "$name" touch_rmse)" -v b="$(truth "$name" touch_sd)" 'BEGIN { printf "%.3f", a / b }')
  echo "| $name: synth $* | $(truth "$name" cluster_spearman) | $(truth "$name" oracle_auuc_05) | $(truth "$name" backdoor_auuc_05) | $share | $(truth "$name" slope) | $(truth "$name" ratio) | $(truth "$name" coverage95) | $(truth "$name" ci95_width_median) |"
}
for seed in 1 2 3 4; do level_b "seed$seed" --seed "$seed"; done
level_b unconfounded1 --seed 1 --confounding 0
level_b unconfounded2 --seed 2 --confounding 0
level_b direct05 --seed 1 --direct 0.05
level_b direct10 --seed 1 --direct 0.1
level_b umediator1 --seed 1 --u-to-m 1
level_b umediator2 --seed 1 --u-to-m 2
level_b leak10 --seed 1 --mediator-leak 0.1

[ -n "$data" ] || exit 0
echo
echo "| experiment | front-door, one-step | 95 % interval | plug-in | naive | back-door |"
echo "|---|---|---|---|---|---|"
arms() { # name
  awk '
    /^    \{$/ { arm = ""; one = "" }
    /^      "name":/ { arm = $0; sub(/.*: "/, "", arm); sub(/".*/, "", arm) }
    /^      "naive":/ { naive = $2 + 0 }
    /^      "backdoor":/ { back = $2 + 0 }
    /^      "do": \{/ { inside = 1 }
    inside && /"plugin":/ { plugin = $2 + 0 }
    inside && /"one_step":/ { one = $2 + 0 }
    inside && /"ci95": \[/ { getline; low = $1 + 0; getline; high = $1 + 0 }
    inside && /^      \}/ { inside = 0; printf "| %s: %s | %.6g | %.6g .. %.6g | %.6g | %.6g | %.6g |\n", name, arm, one, low, high, plugin, naive, back }
    /^  "auuc"/ { exit }' name="$1" "$out/$1/estimates.json"
}
real() { # name, import options -- train options
  name=$1; shift
  [ -d "$out/log_$name" ] || "$alm" import --quiet --out "$out/log_$name" "$@" >/dev/null
  train "$name-tabular" "$out/log_$name" --nuisance tabular --holdout 0
  train "$name-network" "$out/log_$name" --holdout 0 --model tiny
  rm -rf "$out/log_$name"
  arms "$name-tabular"
  arms "$name-network"
}
jtpa=$data/jtpa/jtpa.csv
hillstrom=$data/hillstrom/hillstrom.csv
real jtpa --in "$jtpa" --dataset jtpa
real jtpa-sex --in "$jtpa" --dataset jtpa --covariates sex
real hillstrom-pooled --in "$hillstrom" --dataset hillstrom --arms pooled
real hillstrom-three --in "$hillstrom" --dataset hillstrom --arms three
real hillstrom-spend --in "$hillstrom" --dataset hillstrom --arms three --outcome spend
