// Journeys without some of their touches, put together of touches that are encoded already: what a
// touch brings depends on its own place alone, so that edits of a journey share most of it.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/base/view.h"

namespace alm {

struct EditedJourneys {
  Matrix<const float> encoded;         // [r, touch_width] encoded touches
  Matrix<const float> qkv;             // [r, 3 touch_width]
  Csr edits;                           // touches by edited journey
  std::span<const int64_t> row;        // [touches] of encoded and qkv
  Csr journeys;                        // touches asked for, by the journey they are an edit of
  std::span<const int64_t> asked;      // [asked] place among the touches
  std::span<const int64_t> asked_row;  // [asked] row[asked]
  std::span<const int64_t> cluster;    // [asked]
};

}  // namespace alm
