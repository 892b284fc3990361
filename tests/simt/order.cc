#include "tests/simt/order.h"

#include <algorithm>
#include <numeric>

#include "tests/simt/runtime.h"

namespace simt {
namespace {

Order order = Order::forward;
uint64_t random_state = 1;

// A number below `bound`, which has at most 32 bits.
uint64_t draw_below(uint64_t bound) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (random_state >> 32) * bound >> 32;
}

}  // namespace

void set_schedule(Order wanted, uint64_t seed) {
  order = wanted;
  random_state = seed * 0x9e3779b97f4a7c15u | 1;
}

bool order_is_random() {
  return order == Order::random;
}

void shuffle(std::vector<unsigned>& numbers) {
  for (size_t i = numbers.size(); i > 1; --i) std::swap(numbers[i - 1], numbers[draw_below(i)]);
}

void put_in_order(size_t count, std::vector<unsigned>& numbers) {
  numbers.resize(count);
  std::iota(numbers.begin(), numbers.end(), 0u);
  if (order == Order::reverse) std::reverse(numbers.begin(), numbers.end());
  if (order == Order::random) shuffle(numbers);
}

}  // namespace simt
