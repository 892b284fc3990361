// Warp operations: lanes of a mask meet, see each other's values and part.
#include <algorithm>
#include <bit>
#include <vector>

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

// A lane leaves one meeting before it comes to another: there are no more of them than lanes.
struct Warp {
  Meeting meetings[32];
  uint32_t taken = 0;   // of those, a bit each
  int latest[32] = {};  // of the meetings whose first lane this is
  int64_t called = 0;   // in this block
};

std::vector<Warp> warps;

Warp& warp_of_current() {
  return warps[current->number / 32];
}

// The place of the meeting of these lanes that has begun; none: -1.
int find_meeting(const Warp& warp, uint32_t mask) {
  const auto is = [&](int place) {
    const Meeting& one = warp.meetings[place];
    return (warp.taken >> place & 1) != 0 && one.mask == mask && !one.over();
  };
  const int latest = warp.latest[std::countr_zero(mask)];
  if (is(latest)) return latest;
  for (uint32_t left = warp.taken; left != 0; left &= left - 1) {
    if (is(std::countr_zero(left))) return std::countr_zero(left);
  }
  return -1;
}

// That one, or a new one.
Meeting& meeting_of(uint32_t mask, Line at) {
  Warp& warp = warp_of_current();
  const int found = find_meeting(warp, mask);
  if (found >= 0) return warp.meetings[found];
  const int place = std::countr_one(warp.taken);
  warp.taken |= 1u << place;
  warp.latest[std::countr_zero(mask)] = place;
  Meeting& fresh = warp.meetings[place];
  fresh.mask = mask;
  fresh.arrived = fresh.left = 0;
  fresh.at = at;
  fresh.tag = arena.warp_tag(current->number / 32, warp.called++);
  return fresh;
}

Meeting& arrive(uint32_t mask, uint64_t value, Line at) {
  const unsigned lane = runtime::lane();
  if ((mask >> lane & 1) == 0) {
    throw Error("warp operation by a lane that is not in its own mask, " + text_of(at));
  }
  Meeting& meeting = meeting_of(mask, at);
  if (meeting.at.number != at.number) {
    fail("lanes of a warp meet at different lines, " + text_of(meeting.at) + " and " + text_of(at));
  }
  meeting.values[lane] = value;
  meeting.arrived |= 1u << lane;
  current->at = at;
  current->mask = mask;
  return meeting;
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
    let_others_run();
  }
  if (orders_memory) order_acquire(meeting->tag);
  return *meeting;
}

void depart(Meeting& meeting) {
  const Unwatched unwatched;
  meeting.left |= 1u << runtime::lane();
  if (meeting.left != meeting.mask) return;
  Warp& warp = warp_of_current();
  warp.taken &= ~(1u << (&meeting - warp.meetings));
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
  warps.resize(count);
  for (Warp& warp : warps) {
    warp.taken = 0;
    warp.called = 0;
  }
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
