#include "engine/comm/communicator.h"

#include <algorithm>

namespace alm {

void Communicator::all_reduce_sum(std::span<FixedSum> sums, const char* what) {
  limbs_.resize(sums.size() * FixedSum::kLimbs);
  for (size_t sum = 0; sum < sums.size(); ++sum) {
    sums[sum].to_limbs(limbs_.data() + sum * FixedSum::kLimbs);
  }
  all_reduce_sum(std::span<int64_t>(limbs_), what);
  for (size_t sum = 0; sum < sums.size(); ++sum) {
    sums[sum].from_limbs(limbs_.data() + sum * FixedSum::kLimbs);
  }
}

std::vector<std::string> Communicator::all_gather_strings(const std::string& mine,
                                                          const char* what) {
  std::vector<std::byte> all;
  std::vector<int64_t> counts;
  all_gather_v(std::as_bytes(std::span<const char>(mine)), all, counts, what);
  std::vector<std::string> strings;
  size_t from = 0;
  for (const int64_t count : counts) {
    strings.emplace_back(reinterpret_cast<const char*>(all.data()) + from,
                         static_cast<size_t>(count));
    from += static_cast<size_t>(count);
  }
  return strings;
}

std::string Communicator::broadcast_string(const std::string& text, int64_t root,
                                           const char* what) {
  int64_t length = rank() == root ? static_cast<int64_t>(text.size()) : 0;
  all_reduce_max(std::span<int64_t>(&length, 1), what);
  std::string result = rank() == root ? text : std::string(static_cast<size_t>(length), '\0');
  broadcast(std::as_writable_bytes(std::span<char>(result)), root, what);
  return result;
}

}  // namespace alm
