# shellcheck shell=sh
# Read by the other scripts (`. launch/machine.sh`): facts of this machine and settings of Open MPI.

# Cores this process may use: its processor set, cut by the container's quota if there is one.
usable_cores() {
  cores=$(nproc)
  if [ -r /sys/fs/cgroup/cpu.max ]; then
    read -r quota period </sys/fs/cgroup/cpu.max
    if [ "$quota" != max ] && [ "$((quota / period))" -lt "$cores" ]; then cores=$((quota / period)); fi
  fi
  [ "$cores" -ge 1 ] || cores=1
  echo "$cores"
}

# Compilers at once: one a core, and a GiB of memory for each.
compile_jobs() {
  jobs=$(awk '/^MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
  cores=$(usable_cores)
  [ "$jobs" -lt "$cores" ] || jobs=$cores
  [ "$jobs" -ge 1 ] || jobs=1
  echo "$jobs"
}

# mpirun refuses root unless told twice; containers often forbid the single-copy path of shared memory.
if [ "$(id -u)" -eq 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
export OMPI_MCA_btl_vader_single_copy_mechanism=none
