// What kernels are written in, for two compilers: nvcc for a GPU, and a host compiler for which
// every CUDA thread is a fibre (simt_host.h, tests/simt). The only file that asks which of the two
// reads it. Kernels are launched by simt::launch, shared memory is declared by SIMT_SHARED; <<<>>>,
// __activemask and cooperative groups are not used.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

#if defined(__CUDACC__)

#include <cuda_pipeline_primitives.h>

// SIMT_SHARED(float, tile, [32][33]): one array a block. Holds garbage at first.
#define SIMT_SHARED(type, name, extents) __shared__ type name extents

namespace simt {

template <auto kKernel, class... Arguments>
cudaError_t launch(dim3 grid, dim3 block, cudaStream_t stream, const Arguments&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kKernel, arguments...);
}

// Two or four numbers at once (float2, float4, __nv_bfloat162), aligned alike.
template <class Vector>
__device__ inline Vector load(const void* from) {
  return *static_cast<const Vector*>(from);
}
template <class Vector>
__device__ inline void store(void* to, Vector value) {
  *static_cast<Vector*>(to) = value;
}

// Copy of kBytes (4, 8 or 16, aligned alike) from global to shared memory. Readable by the calling
// thread after cp_async_wait, by others after a barrier on top of it.
template <int kBytes>
__device__ inline void cp_async(void* to_shared, const void* from_global) {
  __pipeline_memcpy_async(to_shared, from_global, kBytes);
}
__device__ inline void cp_async_commit() {
  __pipeline_commit();
}
// Waits until at most kPending of the committed groups are under way.
template <int kPending>
__device__ inline void cp_async_wait() {
  __pipeline_wait_prior(kPending);
}

// d [16, 8] += a [16, 16] b [16, 8] by a whole warp; a row-major, b column-major, the fragments of
// each lane as the PTX manual has them for m16n8k16 with bf16.
__device__ inline void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace simt

#else

#include "kernels/cuda/simt_host.h"

#endif
