#!/bin/bash
# usage: slurm.sh ROOT
# The batch scripts hand USR1 on, put the job back in the queue after 75 and pass other codes through.
# mpirun, srun and scontrol are stand-ins.
set -eu
root=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
cat >"$work/bin/launcher" <<'INNER'
#!/bin/bash
echo "$0 $*" >>"$WORK/calls"
trap 'echo usr1 >>"$WORK/calls"; exit 75' USR1
touch "$WORK/started"
[ -n "${END_WITH:-}" ] && exit "$END_WITH"
for _ in $(seq 100); do sleep 0.1; done
INNER
ln -s launcher "$work/bin/mpirun"
ln -s launcher "$work/bin/srun"
# shellcheck disable=SC2016  # the stand-in expands it
printf '#!/bin/sh\necho "scontrol $*" >>"$WORK/calls"\n' >"$work/bin/scontrol"
chmod +x "$work/bin/launcher" "$work/bin/scontrol"
export WORK=$work PATH="$work/bin:$PATH" SLURM_JOB_ID=17 SLURM_CPUS_PER_TASK=2

fail() { echo "$1"; cat "$work/calls"; exit 1; }

# USR1 to the batch shell, as --signal=B:USR1 sends it.
rm -f "$work/started" "$work/calls"
bash "$root/launch/slurm/train_mpirun.sbatch" log run --epochs 3 >/dev/null &
batch=$!
until [ -e "$work/started" ]; do sleep 0.05; done
kill -USR1 "$batch"
wait "$batch" || fail "the batch script failed after a good stop"
grep -q '^usr1$' "$work/calls" || fail "USR1 did not reach mpirun"
grep -q '^scontrol requeue 17$' "$work/calls" || fail "the job was not put back in the queue"
grep -q 'train --log log --out run --resume --epochs 3' "$work/calls" || fail "wrong command line"

for script in train_mpirun train_srun; do
  for code in 0 1 2; do
    rm -f "$work/calls"
    got=0
    END_WITH=$code bash "$root/launch/slurm/$script.sbatch" log run >/dev/null || got=$?
    [ "$got" -eq "$code" ] || fail "$script: code $code became $got"
    ! grep -q requeue "$work/calls" || fail "$script: requeued after $code"
  done
  rm -f "$work/calls"
  END_WITH=75 bash "$root/launch/slurm/$script.sbatch" log run >/dev/null
  grep -q '^scontrol requeue 17$' "$work/calls" || fail "$script: not requeued after 75"
done
echo "batch scripts: signals, requeue and exit codes are right"
