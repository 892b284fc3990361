// Where numbers live and run. The only virtual class below the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/ops.h"

namespace alm {

// An in-order stream of work. On the CPU a queue is the calling thread: an op has finished when its
// call returns, so one queue belongs to one thread at a time. Owns the scratch memory ops need.
class Queue {
 public:
  virtual ~Queue() = default;
  // At least `bytes` of 64-byte aligned scratch, valid until the next call of scratch() on this
  // queue. Grows in the first steps, then never again.
  virtual void* scratch(int64_t bytes) = 0;
  // Copies between memory of the host and of the device, in order with the ops. The host's stays as
  // it is until wait().
  virtual void upload(void* to_device, const void* from, int64_t bytes) = 0;
  virtual void download(void* to, const void* from_device, int64_t bytes) = 0;
  // Within the device's memory, in order with the ops: rows of the same shape, which do not
  // overlap.
  virtual void copy(Matrix<const float> from, Matrix<float> to) = 0;
  // Sets bytes of the device's memory to zero, in order with the ops.
  virtual void clear(void* memory, int64_t bytes) = 0;
  // Waits until everything queued has finished.
  virtual void wait() = 0;
  // Whether it has; does not wait.
  virtual bool done() = 0;
};

// What matrix products round their operands to; sums are fp32 in either, as is all else.
enum class Precision { fp32, bf16 };

class Device {
 public:
  virtual ~Device() = default;
  virtual std::string describe() const = 0;
  virtual const Ops& ops() const = 0;
  virtual std::unique_ptr<Queue> make_queue() = 0;
  // 64-byte aligned, zero-filled memory; freed with release(). Throws MachineError when there is
  // none.
  virtual void* allocate(int64_t bytes) = 0;
  virtual void release(void* memory) = 0;
  // Memory of the host that copies to and from the device need not stage; freed with
  // release_host().
  virtual void* allocate_host(int64_t bytes) = 0;
  virtual void release_host(void* memory) = 0;
};

// `simd`: auto, scalar, avx2 or avx512. Throws UserError naming the levels this processor has, and
// where it has no products in bf16 and these are asked for.
std::unique_ptr<Device> make_cpu_device(const std::string& simd,
                                        Precision precision = Precision::fp32);

// Levels this processor can run, lowest first: {"scalar", "avx2", ...}.
std::vector<std::string> cpu_simd_levels();

}  // namespace alm
