// What tests may ask of the double of cuBLASLt (cublaslt_double.cc).
#pragma once

#include <cstdint>

namespace simt {

// The version it says it is.
inline constexpr int kCublasLtDoubleVersion = 990100;

struct CublasLtCalls {
  int64_t products = 0;
  int64_t searches = 0;  // for an algorithm
};
CublasLtCalls& cublaslt_calls();
// Products of whose results more columns than these are asked for it has no algorithm; -1: it has
// for all.
int64_t& cublaslt_most_columns();
// Nor for products that sum up a factor beside, if this says so.
bool& cublaslt_lacks_sums();

}  // namespace simt
