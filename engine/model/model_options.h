// Sizes and loss weights of a model: what --model names as a set and every single option may
// change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace alm {

// Where the mediator comes from: logged events, or a learned code that stands for them (the paper's
// way; its output is a score, not an effect).
enum class MediatorMode { observed, proxy };
// Which columns of /touch/proxy the code of proxy mode reads: none, those that the log does not
// mark as made after the outcome could act, or all.
enum class ProxyInput { none, clean, all };

// How the outcome head of sequence logs joins mediators with touches: each touch apart, or any way.
enum class OutcomeHead { separable, general };

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

  OutcomeHead outcome_head = OutcomeHead::separable;  // sequence logs, mediator observed

  bool critic = true;         // sequence logs with a binary outcome: check Lambda by a critic
  int64_t critic_width = 32;  // of both its sides
  int64_t critic_top_k = 0;   // journeys whose weights count in its Lambda; 0: all of the group

  MediatorMode mediator = MediatorMode::observed;
  // Proxy mode only. w_mediator is then the weight of the code's law given touches and context.
  ProxyInput proxy_input = ProxyInput::none;
  int64_t code_width = 32;
  int64_t discriminator_hidden = 64;
  int64_t match_width = 32;    // of both sides of the matching score
  double w_proxy = 0.5;        // a_P
  double w_adversary = 0.1;    // a_A: what the reversed gradient is multiplied by, beside its ramp
  double w_contrastive = 0.1;  // a_C
  double temperature = 0.07;   // of the matching score

  bool general_head() const { return outcome_head == OutcomeHead::general; }
  bool proxy_mode() const { return mediator == MediatorMode::proxy; }

  bool operator==(const ModelOptions&) const = default;
};

// Whether the code reads this column of /touch/proxy. `leaky` is /meta/proxy_leaky, empty where the
// log does not say.
bool reads_proxy(const ModelOptions& options, int64_t column, const std::vector<uint8_t>& leaky);
// How many of the columns it reads.
int64_t proxies_read(const ModelOptions& options, int64_t columns,
                     const std::vector<uint8_t>& leaky);

// "observed" or "proxy".
const char* mediator_mode_name(MediatorMode mode);

// "separable" or "general".
const char* outcome_head_name(OutcomeHead head);

// "tiny", "reference" or "paper" (contract 5); UserError listing them otherwise.
ModelOptions model_options_by_name(const std::string& name);

}  // namespace alm
