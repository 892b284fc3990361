#!/bin/sh
# usage: launch/install.sh [--tests]
# Installs what the build needs and this machine lacks, on Debian and its kin. --tests: what the tests
# need too. Does nothing when all is there. Runs as root, or through sudo.
set -eu

packages="g++ make cmake pkg-config libopenmpi-dev openmpi-bin libhdf5-dev libdnnl-dev libeigen3-dev
  libboost-program-options-dev nlohmann-json3-dev libcsv-dev libssl-dev zlib1g-dev libdeflate-dev
  libzstd-dev liblz4-dev libfaiss-dev"
case "${1:-}" in
  "") ;;
  --tests) packages="$packages libgtest-dev git python3 python3-h5py hdf5-tools" ;;
  *) echo "usage: launch/install.sh [--tests]" >&2; exit 1 ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install: this is no Debian-like system; please install the counterparts of:"
  echo "$packages"
  exit 0
fi

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
  echo "install: everything is there"
  exit 0
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install: missing$missing; run this as root: apt-get install --no-install-recommends$missing" >&2
    exit 2
  fi
  as_root=sudo
fi
echo "install: apt-get installs$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086  # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
echo "install: done"
