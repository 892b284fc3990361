// Double of the CUDA runtime calls that kernels/cuda makes; tests link it in place of the library.
// A stream is a queue whose work is done when the host waits, so that what the host reads too early
// it reads unfinished. Device memory is out of reach of the host (PROT_NONE) while no device work
// runs, full of NaN at first, ends at a page that nobody may touch, and is out of reach for long
// after it was freed.
#include <cuda_runtime.h>
#include <sys/mman.h>

#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <set>
#ifdef SIMT_ASAN
#include <sanitizer/asan_interface.h>
#endif

#include "kernels/cuda/simt.cuh"
#include "tests/simt/runtime.h"

struct CUstream_st {
  std::deque<std::function<void()>> work;
};

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kAlignment = 256;  // of cudaMalloc

struct Block {
  char* mapping;
  size_t mapped;
  size_t bytes;
};
std::map<char*, Block> blocks;  // by the address handed out
std::deque<Block> freed;
constexpr size_t kMostFreed = 1000;  // the system counts mappings
std::set<CUstream_st*> streams;

void protect(int access) {
  for (const auto& [address, block] : blocks) ::mprotect(block.mapping, block.mapped, access);
}

bool in_block(const void* address, size_t bytes) {
  const char* const at = static_cast<const char*>(address);
  auto block = blocks.upper_bound(const_cast<char*>(at));
  if (block == blocks.begin()) return false;
  --block;
  return at + bytes <= block->first + block->second.bytes;
}

// Device memory is the device's while this lives.
struct DeviceWorks {
  DeviceWorks() { protect(PROT_READ | PROT_WRITE); }
  ~DeviceWorks() { protect(PROT_NONE); }
};

void drain(CUstream_st* stream) {
  if (stream->work.empty()) return;
  const DeviceWorks works;
  while (!stream->work.empty()) {
    const std::function<void()> next = std::move(stream->work.front());
    stream->work.pop_front();
    try {
      next();
    } catch (...) {
      stream->work.clear();
      throw;
    }
  }
}

}  // namespace

namespace simt {

bool is_device_memory(const void* address) {
  return in_block(address, 1);
}

cudaError_t runtime::enqueue(cudaStream_t stream, std::function<void()> work) {
  if (streams.count(stream) == 0) return cudaErrorInvalidResourceHandle;  // the null stream, too
  stream->work.push_back(std::move(work));
  return cudaSuccess;
}

}  // namespace simt

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** address, size_t bytes) {
  const size_t room = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const size_t mapped = (room + kPage - 1) / kPage * kPage;
  void* const mapping =
      ::mmap(nullptr, mapped + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return cudaErrorMemoryAllocation;
  char* const base = static_cast<char*>(mapping);
  char* const first = base + mapped - room;
  std::memset(base, 0xff, mapped);
  ::mprotect(base, mapped + kPage, PROT_NONE);
#ifdef SIMT_ASAN
  __asan_poison_memory_region(base, static_cast<size_t>(first - base));
  __asan_poison_memory_region(first + bytes, room - bytes);
#endif
  blocks[first] = {base, mapped, bytes};
  *address = first;
  return cudaSuccess;
}

cudaError_t cudaFree(void* address) {
  if (address == nullptr) return cudaSuccess;
  const auto block = blocks.find(static_cast<char*>(address));
  if (block == blocks.end()) return cudaErrorInvalidValue;
  for (CUstream_st* const stream : streams) drain(stream);
#ifdef SIMT_ASAN
  __asan_unpoison_memory_region(block->second.mapping, block->second.mapped);
#endif
  // The addresses stay taken, without memory behind them: a use after the end faults.
  ::mmap(block->second.mapping, block->second.mapped, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  freed.push_back(block->second);
  if (freed.size() > kMostFreed) {
    ::munmap(freed.front().mapping, freed.front().mapped + kPage);
    freed.pop_front();
  }
  blocks.erase(block);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (bytes > 0 && (in_block(to, bytes) != to_device || in_block(from, bytes) != from_device)) {
    return cudaErrorInvalidValue;
  }
  return simt::runtime::enqueue(stream, [=] { std::memcpy(to, from, bytes); });
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  if (bytes > 0 && !in_block(to, bytes)) return cudaErrorInvalidValue;
  return simt::runtime::enqueue(stream, [=] { std::memset(to, value, bytes); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  streams.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  drain(stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  streams.erase(stream);
  delete stream;
  return cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    default:
      return "error of the double of the CUDA runtime";
  }
}

}  // extern "C"
