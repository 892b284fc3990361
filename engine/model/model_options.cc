#include "engine/model/model_options.h"

#include "kernels/base/check.h"

namespace alm {

bool reads_proxy(const ModelOptions& options, int64_t column, const std::vector<uint8_t>& leaky) {
  if (!options.proxy_mode() || options.proxy_input == ProxyInput::none) return false;
  const bool leaks = !leaky.empty() && leaky[static_cast<size_t>(column)] != 0;
  return options.proxy_input == ProxyInput::all || !leaks;
}

int64_t proxies_read(const ModelOptions& options, int64_t columns,
                     const std::vector<uint8_t>& leaky) {
  int64_t read = 0;
  for (int64_t column = 0; column < columns; ++column) read += reads_proxy(options, column, leaky);
  return read;
}

const char* mediator_mode_name(MediatorMode mode) {
  return mode == MediatorMode::proxy ? "proxy" : "observed";
}

const char* outcome_head_name(OutcomeHead head) {
  return head == OutcomeHead::general ? "general" : "separable";
}

ModelOptions model_options_by_name(const std::string& name) {
  ModelOptions options;
  if (name == "reference") return options;
  if (name == "tiny") {
    options.cat_width = 8;
    options.cat_rows = 1 << 14;
    options.item_width = 8;
    options.item_rows = 1 << 14;
    options.cluster_width = 16;
    options.position_width = 4;
    options.context_hidden = 32;
    options.context_width = 32;
    options.touch_hidden = 32;
    options.touch_width = 32;
    options.heads = 2;
    options.head_hidden = 32;
    options.confounding_hidden = 32;
    return options;
  }
  if (name == "paper") {
    options.cluster_width = 128;
    options.context_hidden = 2048;
    options.context_width = 2048;
    options.touch_hidden = 2048;
    options.touch_width = 2048;
    options.heads = 16;
    options.head_hidden = 1024;
    options.confounding_hidden = 2048;
    return options;
  }
  throw UserError("--model '" + name + "' is not one of tiny, reference, paper");
}

}  // namespace alm
