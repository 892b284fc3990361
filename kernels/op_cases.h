// One list of op cases serves four questions: is an op right (against a double-precision
// reference), is its gradient the gradient of its forward pass, how fast is it, and which backend
// has it. A case is data: named arrays and scalars; the names are those of the op's argument struct
// in kernels/ops.h. All of it is made in kernels/cases/: a file per family of ops says how their
// cases are built and how their arguments are bound; the files named below hold the rest.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace alm {

class OpArguments;

// One array argument. `values` is dense, row-major and double whatever the type on the device;
// `stride` is the row stride there. A vector is [n, 1].
struct OpArray {
  enum class Type { f32, f64, i64, u8, bf16 };
  enum class Role { input, overwritten, accumulated, room };  // room: the backend's own
  Type type = Type::f32;
  bool activation = false;  // f32, or as the device holds activations
  Role role = Role::input;
  int64_t rows = 0;
  int64_t cols = 1;
  int64_t stride = 1;
  std::vector<double> values;
};

struct OpCase {
  std::string op;       // name of the entry of Ops
  std::string name;     // "op/shape", unique
  std::string forward;  // op to run first on the same arrays, for backward ops; or empty
  std::map<std::string, OpArray> arrays;
  std::map<std::string, double> scalars;  // absent means 0
  // |result - reference| <= tolerance * (|reference| + largest |reference| of the array).
  double tolerance = 2e-6;
  double flops = 0;
  double bytes = 0;  // touched at least once
  // Outputs are zero for the most part by intention; other such cases prove nothing.
  bool mostly_zero = false;

  double scalar(const std::string& name_of_scalar) const;
};

// --- cases/table.cc: the ops by name

// Every entry of Ops by name, in the order of the table.
std::vector<std::string> op_names();
// Whether a table fills the entry of that name.
bool has_op(const Ops& ops, const std::string& op);
// A call of `op` on those arguments, ready to be repeated. All four arguments must outlive it.
std::function<void()> bind_op(const std::string& op, const Ops& ops, Queue& queue,
                              OpArguments& arguments);

// --- cases/correctness.cc, performance.cc, step.cc: the lists

// Sizes that break things: 0, 1, primes, ragged and empty journeys, missing mediators, column
// slices.
std::vector<OpCase> correctness_cases();
// Sizes of the reference model, micro-block of 256 journeys.
std::vector<OpCase> performance_cases();
// The ops of a training step of the reference model on journeys of its shape, one rank, all
// journeys at once: as many of each as the model and the optimiser call.
std::vector<OpCase> step_cases(int64_t journeys);

// --- cases/arguments.cc: a case in memory

// The arrays of a case in memory of their own types, rows padded to the stride with NaN;
// activations as asked. Not thread-safe.
class OpArguments {
 public:
  explicit OpArguments(const OpCase& op_case, Precision activations = Precision::fp32);

  // From here on the views below are of copies in the device's memory, which end with the last row.
  // Device and queue must outlive this object and its copies, which share that memory.
  void move_to(Device& device, Queue& queue);
  // Waits for the queue and brings back what those copies hold, for values(), memory() and
  // padding_untouched().
  void fetch(Queue& queue);

  // Views of an array; empty when the case has none of that name (an optional argument).
  Matrix<float> matrix(const std::string& name);
  MixedMatrix<float> activations(const std::string& name);
  std::span<float> floats(const std::string& name);
  std::span<int64_t> integers(const std::string& name);
  Matrix<int64_t> integer_matrix(const std::string& name);
  std::span<uint8_t> bytes(const std::string& name);
  double* doubles(const std::string& name);
  double scalar(const std::string& name) const;

  // Dense copy of an array as it stands now.
  std::vector<double> values(const std::string& name) const;
  Precision precision(const std::string& name) const;
  // Raw memory of an array, padding included.
  const std::vector<unsigned char>& memory(const std::string& name) const;
  // True if what lies between the rows still holds what the constructor put there.
  bool padding_untouched(const std::string& name) const;

 private:
  struct Slot {
    OpArray shape;
    std::vector<unsigned char> memory;
    std::shared_ptr<void> on_device;

    unsigned char* view();
    int64_t bytes_in_rows() const;
  };
  std::map<std::string, Slot> slots_;
  std::map<std::string, double> scalars_;
};

// --- cases/timing.cc: how long a case takes

// Processor time of the calling thread so far.
double thread_cpu_seconds();

struct OpTiming {
  double seconds = 0;            // best call when warm, median call when cold
  double processor_seconds = 0;  // the same of processor time
  int64_t calls = 0;
  double gflops = 0;     // by processor time, as is the next
  double gigabytes = 0;  // per second
};
// `cold`: caches are swept before each call. Takes about `budget` seconds.
OpTiming time_op(const OpCase& op_case, Device& device, bool cold, double budget = 0.05);
// Of a device with memory of its own: seconds of a call, one of many queued together, by the clock
// of the host. Takes about `budget` seconds.
double time_queued_op(const OpCase& op_case, Device& device, double budget = 0.05);

}  // namespace alm
