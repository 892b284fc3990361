// Sizes and loss weights of a model: what --model names as a set and every single option may
// change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace alm {

struct ModelOptions {
  int64_t cat_width = 16;       // embedding of a context id
  int64_t cat_rows = 1 << 20;   // rows of the one table all context ids hash into
  int64_t item_width = 32;      // embedding of an item
  int64_t item_rows = 1 << 20;  // rows of the item table
  int64_t item_admission = 50;  // training touches an item row needs before it is its own
  int64_t cluster_width = 32;
  int64_t position_width = 8;
  int64_t context_hidden = 128;
  int64_t context_width = 64;
  int64_t touch_hidden = 64;
  int64_t touch_width = 64;
  int64_t heads = 4;         // of the causal attention; divides touch_width
  int64_t head_hidden = 64;  // mediator, potency and second-stage hidden layers
  int64_t confounding_hidden = 128;
  double w_mediator = 0.1;  // a_M (neural.md 2: with a shared trunk 1 sinks the potency)
  double w_outcome = 1;     // a_Y
  double w_second = 1;      // a_S

  bool operator==(const ModelOptions&) const = default;
};

// "tiny", "reference" or "paper" (contract 5); UserError listing them otherwise.
ModelOptions model_options_by_name(const std::string& name);

}  // namespace alm
