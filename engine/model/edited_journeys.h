// Journeys without some of their touches, put together of touches that are encoded already: what a
// touch brings depends on its own place alone, so that edits of a journey share most of it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/base/view.h"

namespace alm {

struct EditedJourneys {
  Matrix<const float> encoded;         // [e, touch_width] of touches that are asked for
  Matrix<const float> qkv;             // [r, 3 touch_width]
  Csr edits;                           // touches by edited journey
  std::span<const int64_t> row;        // [touches] of qkv
  Csr journeys;                        // touches asked for, by the journey they are an edit of
  std::span<const int64_t> asked;      // [asked] place among the touches
  std::span<const int64_t> asked_row;  // [asked] of encoded
  std::span<const int64_t> cluster;    // [asked]
};

// The layer behind attention and the mediator head's first, which nothing stands between, as one:
// hidden = encoded w_touch + mixed w + bias. Of one set of weights and of the host.
struct EditedHead {
  std::vector<float> w;     // [touch_width, hidden]
  std::vector<float> bias;  // [hidden]
};

}  // namespace alm
