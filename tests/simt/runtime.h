// What tests may set and ask of the host runtime of kernels (kernels/cuda/simt_host.h). One OS
// thread, one kernel at a time, its blocks one after another.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <functional>

namespace simt {

// In which order threads that could run do run, and blocks. random: anew in every round, by seed.
enum class Order { forward, reverse, random };
void set_schedule(Order order, uint64_t seed = 1);
// In which order streams do their work (cuda_streams.cc). 0: each as late as it can; else by seed,
// odd ones some of it as soon as it is queued.
void set_stream_schedule(uint64_t seed);

// For what is learnt of memory accesses (trace.cc).
enum class Space { none, shared, global };
namespace runtime {
Space space_of(const void* address);
unsigned thread_number();  // within the block
const char* kernel();      // name of the one that runs
// Called when a kernel begins, when a block has ended, for every asynchronous copy with the
// instruction that asks for it, and for every product of the tensor cores, where set.
extern void (*at_launch)();
extern void (*at_product)();
extern void (*at_block_end)(unsigned threads);
extern void (*at_copy)(const void* from, int bytes, void* instruction);
}  // namespace runtime

// Memory of the double of the CUDA runtime (cuda_double.cc): whether an address is the device's.
bool is_device_memory(const void* address);

// Calls of the double since the start, but for what a test takes off.
struct RuntimeCalls {
  int64_t allocations = 0;      // of either memory
  int64_t pageable_copies = 0;  // with memory of the host that is not page-locked: they block
  int64_t waits = 0;            // of the host, for streams or events
  int64_t graphs = 0;           // instantiated
  int64_t graph_launches = 0;
  int64_t most_bytes = 0;  // of the device that were allocated together
};
RuntimeCalls& runtime_calls();

// Lives in every call of the double, so that a test can tell its memory from that of its callers.
struct InsideDouble {
  InsideDouble() { ++depth; }
  ~InsideDouble() { --depth; }
  inline static thread_local int depth = 0;
};
// Called before and after device work runs, where set.
extern void (*at_device_work)(bool begins);

// The machine that the double plays.
struct Machine {
  int driver = 13000;  // CUDA version of the driver; 0: there is none
  int gpus = 1;
  int first_bus = 0x3b;  // of GPU 0, that of others 16 further each
  int major = 9;         // compute capability
  int minor = 0;
  size_t memory = size_t{1} << 40;  // bytes that may be allocated at a time
};
Machine& machine();

// Work of a stream that may have to wait for others: asked until it says that it has ended, and
// what stands behind it in the stream waits for it. No part of a graph. Memory of the device is out
// of its reach but while a DeviceWorks of its own lives.
cudaError_t enqueue_until(cudaStream_t stream, std::function<bool()> ended);

}  // namespace simt
