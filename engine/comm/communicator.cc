#include "engine/comm/communicator.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <numeric>

#include "kernels/base/stop_flag.h"

namespace alm {
namespace {

// "1 the words of a UserError"; an exit code and a message, for another rank to throw.
std::string packed_error() {
  try {
    throw;
  } catch (const Error& error) {
    return std::to_string(error.exit_code()) + " " + error.what();
  } catch (const std::bad_alloc&) {
    return "2 out of memory";
  } catch (const std::exception& error) {
    return std::string("2 ") + error.what();
  }
}

[[noreturn]] void throw_packed(const std::string& packed, const std::string& whose) {
  const std::string message = whose + packed.substr(packed.find(' ') + 1);
  switch (std::atoi(packed.c_str())) {
    case 1:
      throw UserError(message);
    case Stopped::kExitCode:
      throw Stopped(message);
    default:
      throw MachineError(message);
  }
}

}  // namespace

void Communicator::together(const char* what, const std::function<void()>& body) {
  if (size() == 1) return body();
  std::string error;
  try {
    body();
  } catch (const std::exception&) {
    error = packed_error();
    raise_alarm();
  }
  int64_t failed = error.empty() ? 0 : 1;
  all_reduce_sum(std::span<int64_t>(&failed, 1), what);
  if (failed == 0) return;
  const std::vector<std::string> errors = all_gather_strings(error, what);
  const auto first = std::find_if(errors.begin(), errors.end(),
                                  [](const std::string& text) { return !text.empty(); });
  // Rank 0 meets what concerns all; a wish to stop is anyone's.
  const bool of_all = first == errors.begin() || failed == size() ||
                      std::atoi(first->c_str()) == Stopped::kExitCode;
  throw_packed(
      *first, of_all ? ""
                     : format("rank %lld of %lld: ", static_cast<long long>(first - errors.begin()),
                              static_cast<long long>(size())));
}

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

void Communicator::all_gather_v(std::span<const std::byte> mine, std::vector<std::byte>& all,
                                std::vector<int64_t>& counts, const char* what) {
  all_gather(std::ssize(mine), counts, what);
  all.resize(static_cast<size_t>(std::accumulate(counts.begin(), counts.end(), int64_t{0})));
  const auto before = counts.begin() + rank();
  std::ranges::copy(mine, all.begin() + std::accumulate(counts.begin(), before, int64_t{0}));
  all_gather_in_place(all, counts, what);
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
