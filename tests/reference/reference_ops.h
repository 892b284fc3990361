// Every op of kernels/ops.h once more: in double precision, one number at a time, written to be
// read beside the specification. Arrays go by the names of the argument structs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace alm::reference {

// Row-major [rows, cols]; a vector is [n, 1].
struct Array {
  int64_t rows = 0;
  int64_t cols = 1;
  std::vector<double> values;

  double& operator()(int64_t row, int64_t col = 0) {
    return values[static_cast<size_t>(row * cols + col)];
  }
};

struct Arguments {
  std::map<std::string, Array> arrays;
  std::map<std::string, double> scalars;

  bool has(const std::string& name) const { return arrays.count(name) > 0; }
  Array& operator[](const std::string& name) { return arrays.at(name); }
  double scalar(const std::string& name) const {
    const auto found = scalars.find(name);
    return found == scalars.end() ? 0 : found->second;
  }
  // Touches of journey i are [begin(i), begin(i + 1)).
  int64_t journeys() { return arrays.at("touches").rows - 1; }
  int64_t begin(int64_t journey) { return static_cast<int64_t>(arrays.at("touches")(journey)); }
  int64_t index(const std::string& name, int64_t at) {
    return static_cast<int64_t>(arrays.at(name)(at));
  }
};

// Does what the entry `op` of the table does. Throws std::out_of_range for an op it does not know.
void run(const std::string& op, Arguments& arguments);

}  // namespace alm::reference
