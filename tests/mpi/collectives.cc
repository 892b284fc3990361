// Every collective against values each rank works out for itself, with odd sizes, whole and cut in
// pieces. A plain program and not a gtest one: all ranks must walk the same path, and MPI starts
// once a process.
#include <chrono>
#include <cstdio>
#include <numeric>
#include <thread>

#include "engine/comm/communicator.h"
#include "engine/comm/message_limit.h"
#include "kernels/base/stop_flag.h"

namespace alm {
namespace {

constexpr int64_t kSizes[] = {0, 1, 2, 7, 64, 1009};

int64_t failures = 0;

void expect(bool holds, Communicator& world, const char* what, int64_t size) {
  if (holds) return;
  ++failures;
  std::fprintf(stderr, "rank %lld of %lld: %s is wrong at size %lld (message limit %lld)\n",
               static_cast<long long>(world.rank()), static_cast<long long>(world.size()), what,
               static_cast<long long>(size), static_cast<long long>(message_limit_bytes));
}

// A number that depends on everything; small enough to add as float without rounding.
int64_t value_of(int64_t rank, int64_t index) {
  return (rank * 31 + index * 7) % 101 - 50;
}

template <class T>
std::vector<T> values_of(int64_t rank, int64_t size) {
  std::vector<T> values;
  for (int64_t index = 0; index < size; ++index)
    values.push_back(static_cast<T>(value_of(rank, index)));
  return values;
}

// The reduction of all ranks' values by `combine`, element-wise.
template <class T, class Combine>
std::vector<T> reduced(const Communicator& world, int64_t size, Combine combine) {
  std::vector<T> result = values_of<T>(0, size);
  for (int64_t rank = 1; rank < world.size(); ++rank) {
    const std::vector<T> other = values_of<T>(rank, size);
    for (size_t index = 0; index < other.size(); ++index) {
      result[index] = combine(result[index], other[index]);
    }
  }
  return result;
}

template <class T>
void check_sum(Communicator& world, int64_t size, const char* what) {
  std::vector<T> values = values_of<T>(world.rank(), size);
  world.all_reduce_sum(std::span<T>(values), what);
  expect(values == reduced<T>(world, size, [](T a, T b) { return a + b; }), world, what, size);
}

template <class T>
void check_max(Communicator& world, int64_t size, const char* what) {
  std::vector<T> values = values_of<T>(world.rank(), size);
  world.all_reduce_max(std::span<T>(values), what);
  expect(values == reduced<T>(world, size, [](T a, T b) { return a > b ? a : b; }), world, what,
         size);
}

// The bytes that rank `from` sends to rank `to`; sizes differ from pair to pair, some are 0.
std::vector<std::byte> message(int64_t from, int64_t to, int64_t size) {
  std::vector<std::byte> bytes(static_cast<size_t>(size * ((from + 2 * to) % 3)));
  for (size_t at = 0; at < bytes.size(); ++at) {
    bytes[at] = static_cast<std::byte>(
        (static_cast<size_t>(from) * 17 + static_cast<size_t>(to) * 5 + at) & 255);
  }
  return bytes;
}

void check_gather(Communicator& world, int64_t size) {
  const std::vector<std::byte> mine = message(world.rank(), world.rank() / 2, size);
  std::vector<std::byte> all(3, std::byte{9}), wanted;  // old content must go
  std::vector<int64_t> counts, wanted_counts;
  for (int64_t rank = 0; rank < world.size(); ++rank) {
    const std::vector<std::byte> part = message(rank, rank / 2, size);
    wanted.insert(wanted.end(), part.begin(), part.end());
    wanted_counts.push_back(static_cast<int64_t>(part.size()));
  }
  world.all_gather_v(mine, all, counts, "all_gather_v");
  expect(all == wanted && counts == wanted_counts, world, "all_gather_v", size);
}

void check_exchange(Communicator& world, int64_t size) {
  std::vector<std::vector<std::byte>> send, wanted;
  for (int64_t other = 0; other < world.size(); ++other) {
    send.push_back(message(world.rank(), other, size));
    wanted.push_back(message(other, world.rank(), size));
  }
  expect(world.all_to_all_v(send, "all_to_all_v") == wanted, world, "all_to_all_v", size);
}

void check_broadcast(Communicator& world, int64_t size) {
  for (int64_t root = 0; root < world.size(); ++root) {
    const std::vector<std::byte> wanted = message(root, root + 1, size);
    std::vector<std::byte> bytes = wanted;
    if (world.rank() != root) bytes.assign(wanted.size(), std::byte{0});
    world.broadcast(bytes, root, "broadcast");
    expect(bytes == wanted, world, "broadcast", size);
    const std::string text(static_cast<size_t>(size), 'x');
    expect(world.broadcast_string(world.rank() == root ? text : "other", root, "string") == text,
           world, "broadcast_string", size);
  }
}

// Terms split over the ranks must give the very sum that one process gets, whatever the split.
void check_fixed_sums(Communicator& world, int64_t size) {
  std::vector<FixedSum> mine(static_cast<size_t>(size)), whole(static_cast<size_t>(size));
  for (int64_t index = 0; index < size; ++index) {
    for (int64_t term = 0; term < 50; ++term) {
      const double value = (term % 2 == 0 ? 1e15 : -1e15) / static_cast<double>(term + 3) +
                           1e-9 * static_cast<double>(index + 1);
      whole[static_cast<size_t>(index)].add(value);
      if (term % world.size() == world.rank()) mine[static_cast<size_t>(index)].add(value);
    }
  }
  world.all_reduce_sum(std::span<FixedSum>(mine), "fixed sums");
  expect(mine == whole, world, "sum of FixedSum", size);
}

void check_strings(Communicator& world) {
  std::vector<std::string> wanted;
  for (int64_t rank = 0; rank < world.size(); ++rank) {
    wanted.push_back(std::string(static_cast<size_t>(rank), 'r'));
  }
  expect(world.all_gather_strings(wanted[static_cast<size_t>(world.rank())], "strings") == wanted,
         world, "all_gather_strings", 0);
}

void check_all(Communicator& world) {
  for (const int64_t size : kSizes) {
    check_sum<int64_t>(world, size, "sum of int64");
    check_sum<float>(world, size, "sum of float");
    check_sum<double>(world, size, "sum of double");
    check_max<float>(world, size, "max of float");
    check_max<int64_t>(world, size, "max of int64");
    std::vector<int64_t> values = values_of<int64_t>(world.rank(), size);
    world.all_reduce_min(std::span<int64_t>(values), "min of int64");
    expect(
        values == reduced<int64_t>(world, size, [](int64_t a, int64_t b) { return a < b ? a : b; }),
        world, "min of int64", size);
    check_fixed_sums(world, size);
    check_broadcast(world, size);
    check_gather(world, size);
    check_exchange(world, size);
    world.barrier("barrier");
  }
  check_strings(world);
}

// What together() throws when the ranks of `fails` throw: "code message", empty for nothing.
template <class Fails>
std::string thrown_together(Communicator& world, Fails&& fails) {
  try {
    world.together("test", [&] {
      if (fails(world.rank())) throw UserError("wrong here " + std::to_string(world.rank()));
    });
  } catch (const Error& error) {
    return std::to_string(error.exit_code()) + " " + error.what();
  }
  return "";
}

void check_together(Communicator& world) {
  expect(thrown_together(world, [](int64_t) { return false; }).empty(), world, "none failing", 0);
  expect(!world.alarm(), world, "alarm without need", 0);
  world.barrier("the alarm was looked at");
  const int64_t last = world.size() - 1;
  const std::string whose =
      last == 0 ? ""
                : "rank " + std::to_string(last) + " of " + std::to_string(world.size()) + ": ";
  expect(thrown_together(world, [&](int64_t rank) { return rank == last; }) ==
             "1 " + whose + "wrong here " + std::to_string(last),
         world, "error of the last rank", 0);
  expect(thrown_together(world, [](int64_t) { return true; }) == "1 wrong here 0", world,
         "error of all ranks", 0);
  try {
    world.together("test", [&] {
      if (world.rank() == last) throw Stopped("scan");
      while (!world.alarm()) {
      }
    });
    expect(false, world, "stop of the last rank", 0);
  } catch (const Stopped& stopped) {
    expect(std::string(stopped.what()) == "scan", world, "stop of the last rank", 0);
  }
}

// Twice with all, then without the last.
void check_roll_call(Communicator& world) {
  const int64_t last = world.size() - 1;
  for (int64_t time = 0; time < 2; ++time) {
    if (world.rank() == time) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    expect(world.roll_call(10).empty(), world, "roll call of all", 0);
  }
  if (world.size() > 1 && world.rank() != last) {
    expect(world.roll_call(0.3) == std::vector<int64_t>{last}, world, "roll call without one", 0);
  }
}

// The ranks come from different collectives, and at different times.
void check_meeting(Communicator& world) {
  std::vector<std::byte> bytes(4);
  if (world.rank() == 0) world.broadcast(bytes, 0, "left by the others");
  if (world.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const std::vector<std::string> said = world.meet("rank " + std::to_string(world.rank()), 10);
  expect(static_cast<int64_t>(said.size()) == world.size(), world, "meeting of all", 0);
  for (size_t rank = 0; rank < said.size(); ++rank) {
    expect(said[rank] == "rank " + std::to_string(rank), world, "words of the meeting", 0);
  }
}

}  // namespace
}  // namespace alm

int main(int argc, char** argv) {
  const auto world = alm::make_world_communicator(&argc, &argv);
  const int64_t whole = alm::message_limit_bytes;
  for (const int64_t limit : {whole, int64_t{100}, int64_t{8}}) {
    alm::message_limit_bytes = limit;
    alm::check_all(*world);
  }
  alm::message_limit_bytes = whole;
  alm::expect(world->local_size() >= 1 && world->local_rank() < world->local_size(), *world,
              "place on the host", 0);
  alm::check_together(*world);
  alm::check_roll_call(*world);
  world->all_reduce_sum(std::span<int64_t>(&alm::failures, 1), "failures");
  const int64_t earlier = alm::failures;
  alm::failures = 0;
  alm::check_meeting(*world);
  alm::failures += earlier;  // other collectives are out of step now
  if (world->rank() == 0) {
    std::printf("%s, %lld ranks: %lld failures\n", world->name().c_str(),
                static_cast<long long>(world->size()), static_cast<long long>(alm::failures));
  }
  return alm::failures == 0 ? 0 : 1;
}
