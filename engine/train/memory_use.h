// Memory by what it is for.
#pragma once

#include <cstdint>

#include "io/json.h"

namespace alm {

// Bytes.
struct MemoryUse {
  int64_t tables = 0;       // rows of embeddings
  int64_t weights = 0;      // all others
  int64_t optimiser = 0;    // its state of both
  int64_t gradients = 0;    // of both
  int64_t activations = 0;  // and the scratch of operations
  int64_t batches = 0;      // on their way from the log to the model

  int64_t total() const { return tables + weights + optimiser + gradients + activations + batches; }
  MemoryUse& operator+=(const MemoryUse& other) {
    tables += other.tables;
    weights += other.weights;
    optimiser += other.optimiser;
    gradients += other.gradients;
    activations += other.activations;
    batches += other.batches;
    return *this;
  }
};

inline io::Json to_json(const MemoryUse& use) {
  return {
      {"tables", use.tables},       {"weights", use.weights},         {"optimiser", use.optimiser},
      {"gradients", use.gradients}, {"activations", use.activations}, {"batches", use.batches},
      {"total", use.total()}};
}

}  // namespace alm
