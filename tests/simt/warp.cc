// Warp operations: lanes of a mask meet, see each other's values and part.
#include <algorithm>
#include <bit>
#include <memory>

#include "tests/simt/block.h"
#include "tests/simt/runtime.h"

namespace simt {
namespace {

// A warp operation under way: lanes of `mask` arrive, see each other's values and leave.
struct Meeting {
  uint32_t mask = 0;
  uint32_t arrived = 0;
  uint32_t left = 0;
  Line at{};
  void* tag = nullptr;
  uint64_t values[32] = {};
  bool over() const { return arrived == mask; }
};

std::vector<std::vector<std::unique_ptr<Meeting>>> meetings;  // under way, by warp
std::vector<std::unique_ptr<Meeting>> spare_meetings;
std::vector<int64_t> meetings_called;  // by warp, in this block

Meeting& arrive(uint32_t mask, uint64_t value, Line at) {
  const unsigned lane = runtime::lane();
  if ((mask >> lane & 1) == 0) {
    throw Error("warp operation by a lane that is not in its own mask, " + text_of(at));
  }
  std::vector<std::unique_ptr<Meeting>>& of_warp = meetings[current->number / 32];
  Meeting* meeting = nullptr;
  for (const auto& one : of_warp) {
    if (one->mask == mask && !one->over()) meeting = one.get();
  }
  if (meeting == nullptr) {
    if (spare_meetings.empty()) spare_meetings.push_back(std::make_unique<Meeting>());
    of_warp.push_back(std::move(spare_meetings.back()));
    spare_meetings.pop_back();
    meeting = of_warp.back().get();
    meeting->mask = mask;
    meeting->arrived = meeting->left = 0;
    meeting->at = at;
    const size_t warp = current->number / 32;
    meeting->tag = arena.warp_tag(warp, meetings_called[warp]++);
  }
  if (meeting->at.number != at.number) {
    fail("lanes of a warp meet at different lines, " + text_of(meeting->at) + " and " +
         text_of(at));
  }
  meeting->values[lane] = value;
  meeting->arrived |= 1u << lane;
  current->at = at;
  current->mask = mask;
  return *meeting;
}

void wake(const Meeting& meeting) {
  const size_t first = current->number / 32 * 32;
  for (size_t lane = 0; lane < 32 && first + lane < threads.size(); ++lane) {
    Thread& thread = threads[first + lane];
    if ((meeting.mask >> lane & 1) != 0 && thread.state == State::in_warp &&
        thread.mask == meeting.mask) {
      thread.state = State::ready;
    }
  }
}

using Values = const uint64_t (&)[32];

// Arrives and waits for all lanes of the mask; the last to come does `once`.
Meeting& meet(uint32_t mask, uint64_t value, bool orders_memory, Line at,
              void (*once)(Values of_lanes) = nullptr) {
  Meeting* meeting = nullptr;
  {
    const Unwatched unwatched;
    meeting = &arrive(mask, value, at);
  }
  if (orders_memory) order_release(meeting->tag);
  if (meeting->over()) {
    if (once != nullptr) once(meeting->values);
    wake(*meeting);
  } else {
    current->state = State::in_warp;
    current->fibre->leave(false);
  }
  if (orders_memory) order_acquire(meeting->tag);
  return *meeting;
}

void depart(Meeting& meeting) {
  const Unwatched unwatched;
  meeting.left |= 1u << runtime::lane();
  if (meeting.left != meeting.mask) return;
  std::vector<std::unique_ptr<Meeting>>& of_warp = meetings[current->number / 32];
  const auto ended = std::find_if(of_warp.begin(), of_warp.end(),
                                  [&](const auto& one) { return one.get() == &meeting; });
  spare_meetings.push_back(std::move(*ended));
  of_warp.erase(ended);
}

float of_pair(uint32_t pair, int high) {
  return std::bit_cast<float>(high != 0 ? pair & 0xffff0000u : pair << 16);
}

// d [16, 8] += a [16, 16] b [16, 8] of the lanes' fragments, as the PTX manual lays them out.
void multiply_all(Values of_lanes) {
  if (runtime::at_product != nullptr) runtime::at_product();
  const auto of_lane = [&](int lane) -> const runtime::Fragments& {
    return *reinterpret_cast<const runtime::Fragments*>(of_lanes[lane]);
  };
  float a[16][16];
  float b[16][8];
  for (int k = 0; k < 16; ++k) {
    for (int row = 0; row < 16; ++row) {
      a[row][k] = of_pair(of_lane(row % 8 * 4 + k % 8 / 2).a[k / 8 * 2 + row / 8], k & 1);
    }
    for (int column = 0; column < 8; ++column) {
      b[k][column] = of_pair(of_lane(column * 4 + k % 8 / 2).b[k / 8], k & 1);
    }
  }
  for (int row = 0; row < 16; ++row) {
    float sums[8];
    const auto at = [&](int column) -> float& {
      return of_lane(row % 8 * 4 + column / 2).d[row / 8 * 2 + column % 2];
    };
    for (int column = 0; column < 8; ++column) sums[column] = at(column);
    for (int k = 0; k < 16; ++k) {
      for (int column = 0; column < 8; ++column) sums[column] += a[row][k] * b[k][column];
    }
    for (int column = 0; column < 8; ++column) at(column) = sums[column];
  }
}

}  // namespace

void begin_warps(size_t count) {
  meetings.clear();
  meetings.resize(count);
  meetings_called.assign(count, 0);
}

namespace runtime {

void (*at_product)() = nullptr;

void exchange(uint32_t mask, uint64_t value, uint64_t (&of_lanes)[32], bool orders_memory,
              Line at) {
  Meeting& meeting = meet(mask, value, orders_memory, at);
  std::copy(meeting.values, meeting.values + 32, of_lanes);
  depart(meeting);
}

uint64_t shuffle(uint32_t mask, uint64_t value, unsigned source, Line at) {
  if ((mask >> source & 1) == 0) {
    throw Error("shuffle reads a lane that is not in the mask, " + text_of(at));
  }
  Meeting& meeting = meet(mask, value, false, at);
  const uint64_t result = meeting.values[source];
  depart(meeting);
  return result;
}

void multiply_fragments(const Fragments& mine, Line at) {
  depart(meet(~0u, reinterpret_cast<uint64_t>(&mine), false, at, multiply_all));
}

}  // namespace runtime
}  // namespace simt
