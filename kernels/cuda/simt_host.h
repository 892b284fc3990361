// Host half of simt.cuh: the names that nvcc knows by itself. Outside nvcc the toolkit's headers
// define __global__ and __device__ as empty and give types, bf16 arithmetic and errors; what they
// leave out is here. The runtime behind it, which no product links, is tests/simt. What is
// undefined on a GPU is an error there: simt::Error, with the line.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <type_traits>

// The toolkit makes it empty: a local variable of each thread, silently.
#undef __shared__
#define __shared__ declare_shared_memory_with_SIMT_SHARED
#undef __launch_bounds__
#define __launch_bounds__(...)

namespace simt {

// The kernel did what a GPU does not define, or would hang at.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Line {
  const char* file;
  int number;
};

namespace runtime {

// Of the thread that runs now.
extern const uint3* thread_index;
extern uint3 block_index;
extern dim3 block_size, grid_size;
unsigned lane();

void barrier(Line at);
// Every lane of the mask hands in a value and sees those of all; `orders_memory` as __syncwarp
// does.
void exchange(uint32_t mask, uint64_t value, uint64_t (&of_lanes)[32], bool orders_memory, Line at);
// The value of lane `source`, which must be in the mask; orders no memory.
uint64_t shuffle(uint32_t mask, uint64_t value, unsigned source, Line at);
// The tensor cores' product of a whole warp, of what each lane holds; orders no memory.
struct Fragments {
  float* d;           // [4]
  const uint32_t* a;  // [4]
  const uint32_t* b;  // [2]
};
void multiply_fragments(const Fragments& mine, Line at);
// One array a block and key, filled with NaN.
void* shared_array(const void* key, size_t bytes, Line at);

struct AsyncCopy {
  void* to;
  const void* from;
  int bytes;
};
void push_copy(const AsyncCopy& copy);
void commit_copies();
// The next copy that a wait for all but `pending` groups makes; false when there is none left.
bool take_copy(int pending, AsyncCopy& copy);

cudaError_t check_launch(dim3 grid, dim3 block);
// Runs every block of the grid now.
void run_grid(const std::function<void()>& body, dim3 grid, dim3 block, const char* kernel);
// When the stream's turn comes.
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);

}  // namespace runtime

template <auto kKernel>
constexpr const char* kernel_name() {
  return __PRETTY_FUNCTION__;
}

template <auto kKernel, class... Arguments>
cudaError_t launch(dim3 grid, dim3 block, cudaStream_t stream, const Arguments&... arguments) {
  const cudaError_t error = runtime::check_launch(grid, block);
  if (error != cudaSuccess) return error;
  // Arguments are copied at the launch, as on a GPU.
  return runtime::enqueue(stream, [=] {
    runtime::run_grid([&] { kKernel(arguments...); }, grid, block, kernel_name<kKernel>());
  });
}

// As one access, which is how it is counted and watched.
template <class Vector>
struct WordOf;
template <>
struct WordOf<__nv_bfloat162> {
  using Type __attribute__((may_alias)) = uint32_t;
};
template <>
struct WordOf<float2> {
  using Type __attribute__((may_alias)) = uint64_t;
};
template <>
struct WordOf<float4> {
  __extension__ using Type __attribute__((may_alias)) = unsigned __int128;
};
template <class Vector>
inline auto* word_at(const void* at) {
  if (reinterpret_cast<uintptr_t>(at) % sizeof(Vector) != 0) throw Error("misaligned vector");
  return static_cast<const typename WordOf<Vector>::Type*>(at);
}
template <class Vector, class Word>
inline Vector from_word(Word word) {
  Vector value;
  std::memcpy(static_cast<void*>(&value), &word, sizeof value);
  return value;
}
template <class Vector>
inline Vector load(const void* from) {
  return from_word<Vector>(*word_at<Vector>(from));
}
template <class Vector>
inline void store(void* to, Vector value) {
  using Word = typename WordOf<Vector>::Type;
  Word word;
  std::memcpy(&word, &value, sizeof word);
  *const_cast<Word*>(word_at<Vector>(to)) = word;
}

template <int kBytes>
inline void cp_async(void* to, const void* from) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) % kBytes != 0) {
    throw Error("cp_async: misaligned address");
  }
  std::memset(to, 0xff, kBytes);  // not readable before the wait
  runtime::push_copy({to, from, kBytes});
}
inline void cp_async_commit() {
  runtime::commit_copies();
}
template <int kPending>
inline void cp_async_wait() {
  runtime::AsyncCopy copy;
  while (runtime::take_copy(kPending, copy)) {
    std::memcpy(copy.to, copy.from, static_cast<size_t>(copy.bytes));
  }
}

template <class T>
uint64_t to_bits(T value) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}
template <class T>
T from_bits(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <class T, class Change>
T atomic_update(T* at, Change change) {
  using Word = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  static_assert(sizeof(T) == sizeof(Word));
  Word* const word = reinterpret_cast<Word*>(at);
  Word seen = __atomic_load_n(word, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(word, &seen,
                                      std::bit_cast<Word>(change(std::bit_cast<T>(seen))), false,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return std::bit_cast<T>(seen);
}

}  // namespace simt

#define threadIdx (*::simt::runtime::thread_index)
#define blockIdx (::simt::runtime::block_index)
#define blockDim (::simt::runtime::block_size)
#define gridDim (::simt::runtime::grid_size)

#define SIMT_SHARED(type, name, extents)                                          \
  static char name##_key;                                                         \
  using name##_array = type extents;                                              \
  name##_array& name = *static_cast<name##_array*>(::simt::runtime::shared_array( \
      &name##_key, sizeof(name##_array), ::simt::Line{__FILE__, __LINE__}))

// Where a device function was called from, for errors.
#define SIMT_CALLER const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(SIMT_CALLER) {
  simt::runtime::barrier({file, line});
}
inline void __syncwarp(unsigned mask = ~0u, SIMT_CALLER) {
  uint64_t of_lanes[32];
  simt::runtime::exchange(mask, 0, of_lanes, true, {file, line});
}
inline unsigned __ballot_sync(unsigned mask, int predicate, SIMT_CALLER) {
  uint64_t of_lanes[32];
  simt::runtime::exchange(mask, predicate != 0, of_lanes, false, {file, line});
  unsigned result = 0;
  for (int lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1) != 0 && of_lanes[lane] != 0) result |= 1u << lane;
  }
  return result;
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, SIMT_CALLER) {
  return simt::from_bits<T>(simt::runtime::shuffle(
      mask, simt::to_bits(value), static_cast<unsigned>(source) % 32, {file, line}));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int flip, SIMT_CALLER) {
  return __shfl_sync(mask, value, static_cast<int>(simt::runtime::lane()) ^ flip, file, line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, SIMT_CALLER) {
  const unsigned lane = simt::runtime::lane();
  return __shfl_sync(mask, value, static_cast<int>(lane < distance ? lane : lane - distance), file,
                     line);
}

inline int atomicAdd(int* at, int value) {
  return simt::atomic_update(at, [=](int old) { return old + value; });
}
inline int atomicMax(int* at, int value) {
  return simt::atomic_update(at, [=](int old) { return old < value ? value : old; });
}

inline int __popc(unsigned bits) {
  return std::popcount(bits);
}
inline int __float_as_int(float value) {
  return std::bit_cast<int>(value);
}

namespace simt {

inline void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                         SIMT_CALLER) {
  runtime::multiply_fragments({d, a, b}, {file, line});
}

}  // namespace simt
