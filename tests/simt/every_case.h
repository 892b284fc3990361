// Every correctness case of an op on the CUDA table against the double-precision reference, with
// the tolerances of the CPU's, and the same bits in whatever order its threads and blocks run.
// ALM_CASE=name runs one case only.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>

#include "kernels/device.h"
#include "tests/kernels/op_check.h"
#include "tests/simt/schedules.h"

namespace alm {

inline bool wanted(const OpCase& op_case) {
  const char* const only = std::getenv("ALM_CASE");
  if (only != nullptr) return op_case.name == only;
  int64_t numbers = 0;
  for (const auto& [name, array] : op_case.arrays) numbers += array.rows * array.cols;
  return fits_this_build(numbers);
}

// What the op makes of the arguments as seen.
using Reference = std::function<void(const OpCase&, reference::Arguments&)>;

inline void expect_every_case(const std::string& op, Device& device, const Reference& reference,
                              int orders = schedules()) {
  const std::unique_ptr<Queue> queue = device.make_queue();
  int64_t ran = 0;
  for (const OpCase& op_case : correctness_cases()) {
    if (op_case.op != op || !wanted(op_case)) continue;
    ++ran;
    std::unique_ptr<OpArguments> first;
    for (int schedule = 0; schedule < orders; ++schedule) {
      const std::string order = use_schedule(schedule);
      SCOPED_TRACE(op_case.name + ", schedule " + order + "; repeat: ALM_CASE=" + op_case.name +
                   " --gtest_filter=*" + op_case.op);
      OpArguments arguments(op_case, device.activations());
      arguments.move_to(device, *queue);
      if (!op_case.forward.empty()) {
        bind_op(op_case.forward, device.ops(), *queue, arguments)();
        arguments.fetch(*queue);
      }
      const OpArguments before = arguments;
      bind_op(op_case.op, device.ops(), *queue, arguments)();
      arguments.fetch(*queue);
      if (first == nullptr) {
        reference::Arguments expected = as_seen(op_case, before);
        reference(op_case, expected);
        expect_as_reference(op_case, arguments, before, expected);
        first = std::make_unique<OpArguments>(arguments);
      }
      for (const auto& [name, array] : op_case.arrays) {
        EXPECT_EQ(arguments.memory(name), first->memory(name))
            << name << ": other bits than by the first schedule";
      }
      if (testing::Test::HasFailure()) return;
    }
  }
  EXPECT_TRUE(ran > 0 || std::getenv("ALM_CASE") != nullptr) << "no case for this op";
}

}  // namespace alm
