#!/bin/sh
# usage: require.sh cuda-toolkit ON|OFF
#        require.sh real-data
#        require.sh avx512-bf16
# Fails when ALM_REQUIRE names the thing and it is not there; skips with the reason when it is not named.
set -u
case $1 in
  cuda-toolkit)
    there=$2
    reason="the build found no CUDA toolkit"
    ;;
  real-data)
    there=OFF
    reason="ALM_DATA names no folder with jtpa/ and hillstrom/"
    [ -d "${ALM_DATA:-/nonexistent}/jtpa" ] && [ -d "$ALM_DATA/hillstrom" ] && there=ON
    ;;
  avx512-bf16)
    there=OFF
    reason="this processor has no avx512_bf16, so no products in bf16"
    grep -qw avx512_bf16 /proc/cpuinfo && there=ON
    ;;
esac
[ "$there" != ON ] || { echo "$1: there"; exit 0; }
case ",${ALM_REQUIRE:-}," in
  *",$1,"*) echo "$1 is required but $reason"; exit 1 ;;
esac
echo "skipped: $reason, and ALM_REQUIRE does not name $1"
exit 77
