#include "tests/simt/schedules.h"

#include "tests/simt/runtime.h"

namespace alm {
namespace {

// Sanitizers make every access slower: fewer orders there, and ThreadSanitizer, which looks at what
// is ordered by nothing rather than at what happened, needs only small shapes.
#if defined(SIMT_TSAN)
constexpr int kRandom = 1;
constexpr long long kMostNumbers = 4000;
#elif defined(SIMT_ASAN)
constexpr int kRandom = 2;
constexpr long long kMostNumbers = 20000;
#else
constexpr int kRandom = 10;
constexpr long long kMostNumbers = 1LL << 40;
#endif

}  // namespace

int schedules() {
  return 2 + kRandom;
}

std::string use_schedule(int number) {
  if (number == 0) {
    simt::set_schedule(simt::Order::forward);
    return "forward";
  }
  if (number == 1) {
    simt::set_schedule(simt::Order::reverse);
    return "reverse";
  }
  simt::set_schedule(simt::Order::random, static_cast<uint64_t>(number));
  return "random, seed " + std::to_string(number);
}

bool fits_this_build(long long numbers) {
  return numbers <= kMostNumbers;
}

}  // namespace alm
