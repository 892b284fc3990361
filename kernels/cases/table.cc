// The ops of all families, by name.
#include "kernels/cases/entry.h"

namespace alm {
namespace {

using op_cases::Entry;

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all = [] {
    using namespace op_cases;
    std::vector<Entry> table;
    for (const std::vector<Entry>& family :
         {dense_entries(), linear_entries(), attention_entries(), pool_entries(),
          bilinear_entries(), touch_head_entries(), loss_entries(), infonce_entries(),
          optimizer_entries(), reduce_entries()}) {
      table.insert(table.end(), family.begin(), family.end());
    }
    return table;
  }();
  // Every function pointer of the table and the name before them.
  static_assert(sizeof(Ops) % sizeof(void*) == 0);
  ALM_CHECK(all.size() == sizeof(Ops) / sizeof(void*) - 1, "an op without a case");
  return all;
}

const Entry& entry(const std::string& op) {
  for (const Entry& one : entries()) {
    if (op == one.name) return one;
  }
  throw UserError("no op is called " + op);
}

}  // namespace

double OpCase::scalar(const std::string& name_of_scalar) const {
  const auto found = scalars.find(name_of_scalar);
  return found == scalars.end() ? 0 : found->second;
}

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const Entry& one : entries()) names.push_back(one.name);
  return names;
}

bool has_op(const Ops& ops, const std::string& op) {
  return entry(op).filled(ops);
}

std::function<void()> bind_op(const std::string& op, const Ops& ops, Queue& queue,
                              OpArguments& arguments) {
  return entry(op).bind(ops, queue, arguments);
}

}  // namespace alm
