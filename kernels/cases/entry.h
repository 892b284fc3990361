// How an op is called on the named arguments of a case. Every file of a family lists its ops, in
// the order of Ops.
#pragma once

#include "kernels/op_cases.h"

namespace alm::op_cases {

// One row per entry of Ops: its name, whether a table has it, and the call on named arguments.
struct Entry {
  const char* name;
  bool (*filled)(const Ops&);
  std::function<void()> (*bind)(const Ops&, Queue&, OpArguments&);
};

std::vector<Entry> dense_entries();
std::vector<Entry> linear_entries();
std::vector<Entry> attention_entries();
std::vector<Entry> pool_entries();
std::vector<Entry> bilinear_entries();
std::vector<Entry> touch_head_entries();
std::vector<Entry> loss_entries();
std::vector<Entry> infonce_entries();
std::vector<Entry> optimizer_entries();
std::vector<Entry> reduce_entries();

inline Csr csr(OpArguments& a) {
  return {a.integers("touches")};
}
inline float scalar(OpArguments& a, const char* name) {
  return static_cast<float>(a.scalar(name));
}

template <class Arguments>
std::function<void()> call(void (*op)(Queue&, const Arguments&), Queue& queue,
                           const Arguments& arguments) {
  return [op, &queue, arguments] { op(queue, arguments); };
}

}  // namespace alm::op_cases

// ALM_ENTRY(op, its argument struct made of `a`, the OpArguments).
#define ALM_ENTRY(op, ...)                                                   \
  Entry {                                                                    \
    .name = #op, .filled = [](const Ops& ops) { return ops.op != nullptr; }, \
    .bind = [](const Ops& ops, Queue& queue, OpArguments& a) {               \
      return call(ops.op, queue, __VA_ARGS__);                               \
    }                                                                        \
  }
