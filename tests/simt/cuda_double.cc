// Double of the CUDA runtime calls that kernels/cuda makes; tests link it in place of the library.
// Here the machine, its memory and copies; streams are in cuda_streams.cc. Device memory is out of
// reach of the host (PROT_NONE) while no device work runs, full of NaN at first, ends at a page
// that nobody may touch, and is out of reach for long after it was freed. Copies from memory of the
// host that is not page-locked take what is there at the call, others what is there when they run.
#include <cuda_runtime.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>
#ifdef SIMT_ASAN
#include <sanitizer/asan_interface.h>
#endif

#include "kernels/cuda/simt.cuh"
#include "tests/simt/cuda_double.h"
#include "tests/simt/runtime.h"

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
constexpr size_t kMostFreed = 1000;   // the system counts mappings
std::map<char*, size_t> host_blocks;  // page-locked, by address
simt::RuntimeCalls calls;
simt::Machine played;
int gpu = 0;    // of this process
int works = 0;  // DeviceWorks that live

size_t allocated() {
  size_t bytes = 0;
  for (const auto& [address, block] : blocks) bytes += block.bytes;
  return bytes;
}

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

// Memory of the host that copies need not stage.
bool is_page_locked(const void* address) {
  const char* const at = static_cast<const char*>(address);
  auto block = host_blocks.upper_bound(const_cast<char*>(at));
  if (block == host_blocks.begin()) return false;
  --block;
  return at < block->first + block->second;
}

// The driver itself may reach memory of the host that is not page-locked.
void copy_by_driver(void* to, const void* from, size_t bytes) {
  if (simt::at_device_work != nullptr) simt::at_device_work(false);
  std::memcpy(to, from, bytes);
  if (simt::at_device_work != nullptr) simt::at_device_work(true);
}

}  // namespace

namespace simt {

void (*at_device_work)(bool begins) = nullptr;

DeviceWorks::DeviceWorks() {
  if (works++ > 0) return;
  protect(PROT_READ | PROT_WRITE);
  if (at_device_work != nullptr) at_device_work(true);
}

DeviceWorks::~DeviceWorks() {
  if (--works > 0) return;
  if (at_device_work != nullptr) at_device_work(false);
  protect(PROT_NONE);
}

bool is_device_memory(const void* address) {
  return in_block(address, 1);
}

RuntimeCalls& runtime_calls() {
  return calls;
}

Machine& machine() {
  return played;
}

}  // namespace simt

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  if (played.driver < CUDART_VERSION / 1000 * 1000) return cudaErrorInsufficientDriver;
  if (played.gpus == 0) return cudaErrorNoDevice;
  *count = played.gpus;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= played.gpus) return cudaErrorInvalidDevice;
  gpu = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = gpu;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char* address, int size, int device) {
  std::snprintf(address, static_cast<size_t>(size), "0000:%02x:00.0",
                played.first_bus + 16 * device);
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = played.driver;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int device) {
  if (device != gpu) return cudaErrorInvalidDevice;
  if (which != cudaDevAttrComputeCapabilityMajor && which != cudaDevAttrComputeCapabilityMinor) {
    return cudaErrorInvalidValue;
  }
  *value = which == cudaDevAttrComputeCapabilityMajor ? played.major : played.minor;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* all) {
  *all = played.memory;
  *free = played.memory - allocated();
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** address, size_t bytes) {
  const simt::InsideDouble inside;
  ++calls.allocations;
  if (simt::records_graph()) return cudaErrorStreamCaptureUnsupported;
  if (bytes > played.memory - allocated()) return cudaErrorMemoryAllocation;
  const size_t room = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const size_t mapped = (room + kPage - 1) / kPage * kPage;
  void* const mapping =
      ::mmap(nullptr, mapped + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return cudaErrorMemoryAllocation;
  char* const base = static_cast<char*>(mapping);
  char* const first = base + mapped - room;
  std::memset(base, 0xff, mapped);
  ::mprotect(base, mapped + kPage, PROT_NONE);
  // The last page becomes a mapping of its own for the system, which else would cut one mapping in
  // two and join them again whenever the device begins to work and ends.
  ::madvise(base + mapped, kPage, MADV_DONTDUMP);
#ifdef SIMT_ASAN
  __asan_poison_memory_region(base, static_cast<size_t>(first - base));
  __asan_poison_memory_region(first + bytes, room - bytes);
#endif
  blocks[first] = {base, mapped, bytes};
  *address = first;
  calls.most_bytes = std::max(calls.most_bytes, static_cast<int64_t>(allocated()));
  return cudaSuccess;
}

cudaError_t cudaFree(void* address) {
  const simt::InsideDouble inside;
  if (address == nullptr) return cudaSuccess;
  const auto block = blocks.find(static_cast<char*>(address));
  if (block == blocks.end()) return cudaErrorInvalidValue;
  if (simt::records_graph()) return cudaErrorStreamCaptureUnsupported;
  simt::finish_all_streams();
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

cudaError_t cudaHostAlloc(void** address, size_t bytes, unsigned) {
  const simt::InsideDouble inside;
  ++calls.allocations;
  if (simt::records_graph()) return cudaErrorStreamCaptureUnsupported;
  char* const memory = new char[bytes];
  host_blocks[memory] = bytes;
  *address = memory;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* address) {
  const simt::InsideDouble inside;
  if (host_blocks.erase(static_cast<char*>(address)) == 0) return cudaErrorInvalidValue;
  simt::finish_all_streams();
  delete[] static_cast<char*>(address);
  return cudaSuccess;
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                              size_t width, size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  const size_t to_bytes = (height - 1) * to_pitch + width;
  const size_t from_bytes = (height - 1) * from_pitch + width;
  if (kind != cudaMemcpyDeviceToDevice || width > to_pitch || width > from_pitch || height == 0 ||
      !in_block(to, to_bytes) || !in_block(from, from_bytes)) {
    return cudaErrorInvalidValue;
  }
  return simt::runtime::enqueue(stream, [=] {
    for (size_t row = 0; row < height; ++row) {
      std::memcpy(static_cast<char*>(to) + row * to_pitch,
                  static_cast<const char*>(from) + row * from_pitch, width);
    }
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (bytes > 0 && (in_block(to, bytes) != to_device || in_block(from, bytes) != from_device)) {
    return cudaErrorInvalidValue;
  }
  if (!from_device && !is_page_locked(from)) {
    const simt::InsideDouble inside;
    ++calls.pageable_copies;
    if (simt::records_graph()) return cudaErrorStreamCaptureUnsupported;
    const char* const first = static_cast<const char*>(from);
    const auto staged = std::make_shared<const std::vector<char>>(first, first + bytes);
    return simt::runtime::enqueue(stream, [=] { std::memcpy(to, staged->data(), bytes); });
  }
  if (!to_device && !is_page_locked(to)) {
    ++calls.pageable_copies;
    if (simt::records_graph()) return cudaErrorStreamCaptureUnsupported;
    return simt::runtime::enqueue(stream, [=] { copy_by_driver(to, from, bytes); });
  }
  return simt::runtime::enqueue(stream, [=] { std::memcpy(to, from, bytes); });
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  if (bytes > 0 && !in_block(to, bytes)) return cudaErrorInvalidValue;
  return simt::runtime::enqueue(stream, [=] { std::memset(to, value, bytes); });
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
