// The world of MPI ranks. The only file that includes mpi.h.
//
// Counts of MPI are ints, so data above message_limit_bytes travels in pieces. Integer sums are
// exact in any order; sums of floats follow MPI's order, which depends on the number of ranks.
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "engine/comm/communicator.h"
#include "engine/comm/launcher.h"
#include "engine/comm/message_limit.h"
#include "engine/comm/versions.h"
#include "kernels/base/clock.h"
#include "kernels/base/view.h"

namespace alm {
namespace {

void check_mpi(int status, const char* call, const char* what) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(status, text, &length);
  throw MachineError(format("%s: %s failed: %s", what, call, text));
}

// Ranks that outnumber the cores must yield while they wait, or each collective costs milliseconds.
// Open MPI sees it only when the host's slots are not overstated. Must run before MPI_Init.
void yield_when_oversubscribed() {
  if (launcher_local_size() > sysconf(_SC_NPROCESSORS_ONLN)) {
    setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
  }
}

std::string library_name() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  // "Open MPI v4.1.4, package: ..." and the like: the first clause says it.
  std::string name(text, static_cast<size_t>(length));
  name.resize(std::min(name.find_first_of(",\n"), name.size()));
  const size_t version = name.find(" v");
  if (version != name.npos) name.erase(version + 1, 1);
  return name;
}

class MpiCommunicator : public Communicator {
 public:
  MpiCommunicator() {
    check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler",
              "start of MPI");
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    MPI_Comm host = MPI_COMM_NULL;
    check_mpi(
        MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &host),
        "MPI_Comm_split_type", "start of MPI");
    MPI_Comm_rank(host, &local_rank_);
    MPI_Comm_size(host, &local_size_);
    MPI_Comm_free(&host);
    // Its own messages, so that ranks which left different collectives can still meet.
    check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &aside_), "MPI_Comm_dup", "start of MPI");
  }
  ~MpiCommunicator() override {
    while (took_signal(MPI_ANY_SOURCE, kAlarmTag)) continue;
    MPI_Comm_free(&aside_);
    MPI_Finalize();
  }

  int64_t rank() const override { return rank_; }
  int64_t size() const override { return size_; }
  int64_t local_rank() const override { return local_rank_; }
  int64_t local_size() const override { return local_size_; }
  std::string name() const override { return "mpi (" + library_name() + ")"; }

  using Communicator::all_reduce_sum;
  void all_reduce_sum(std::span<int64_t> values, const char* what) override {
    all_reduce(values, MPI_INT64_T, MPI_SUM, what);
  }
  void all_reduce_sum(std::span<float> values, const char* what) override {
    all_reduce(values, MPI_FLOAT, MPI_SUM, what);
  }
  void all_reduce_sum(std::span<double> values, const char* what) override {
    all_reduce(values, MPI_DOUBLE, MPI_SUM, what);
  }
  void all_reduce_max(std::span<float> values, const char* what) override {
    all_reduce(values, MPI_FLOAT, MPI_MAX, what);
  }
  void all_reduce_max(std::span<int64_t> values, const char* what) override {
    all_reduce(values, MPI_INT64_T, MPI_MAX, what);
  }
  void all_reduce_min(std::span<int64_t> values, const char* what) override {
    all_reduce(values, MPI_INT64_T, MPI_MIN, what);
  }

  void broadcast(std::span<std::byte> bytes, int64_t root, const char* what) override {
    ALM_CHECK(root >= 0 && root < size_, "%s: root %lld", what, static_cast<long long>(root));
    for_each_piece(static_cast<int64_t>(bytes.size()), 1, [&](int64_t from, int count) {
      check_mpi(MPI_Bcast(bytes.data() + from, count, MPI_BYTE, narrow<int>(root), MPI_COMM_WORLD),
                "MPI_Bcast", what);
    });
  }

  void all_gather(int64_t mine, std::vector<int64_t>& of_ranks, const char* what) override {
    of_ranks.resize(static_cast<size_t>(size_));
    check_mpi(MPI_Allgather(&mine, 1, MPI_INT64_T, of_ranks.data(), 1, MPI_INT64_T, MPI_COMM_WORLD),
              "MPI_Allgather", what);
  }

  void all_gather_in_place(std::span<std::byte> all, std::span<const int64_t> counts,
                           const char* what) override {
    if (std::ssize(all) > message_limit_bytes) {
      for (int source = 0; source < size_; ++source) {
        const size_t bytes = static_cast<size_t>(counts[static_cast<size_t>(source)]);
        broadcast(all.first(bytes), source, what);
        all = all.subspan(bytes);
      }
      return;
    }
    sizes_.clear();
    offsets_.clear();
    int64_t offset = 0;
    for (const int64_t count : counts) {
      sizes_.push_back(narrow<int>(count));
      offsets_.push_back(narrow<int>(offset));
      offset += count;
    }
    check_mpi(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all.data(), sizes_.data(),
                             offsets_.data(), MPI_BYTE, MPI_COMM_WORLD),
              "MPI_Allgatherv", what);
  }

  // Point to point and not MPI_Alltoallv: both ends of a pair know its size from the exchange of
  // counts, so cutting large parts needs no agreement of all.
  std::vector<std::vector<std::byte>> all_to_all_v(const std::vector<std::vector<std::byte>>& send,
                                                   const char* what) override {
    ALM_CHECK(send.size() == static_cast<size_t>(size_), "%s: %zu parts for %d ranks", what,
              send.size(), size_);
    std::vector<int64_t> send_counts, receive_counts(send.size());
    for (const auto& part : send) send_counts.push_back(static_cast<int64_t>(part.size()));
    check_mpi(MPI_Alltoall(send_counts.data(), 1, MPI_INT64_T, receive_counts.data(), 1,
                           MPI_INT64_T, MPI_COMM_WORLD),
              "MPI_Alltoall", what);
    std::vector<std::vector<std::byte>> received(send.size());
    std::vector<MPI_Request> requests;
    for (int other = 0; other < size_; ++other) {
      const size_t part = static_cast<size_t>(other);
      if (other == rank_) {
        received[part] = send[part];
        continue;
      }
      received[part].resize(static_cast<size_t>(receive_counts[part]));
      for_each_piece(receive_counts[part], 1, [&](int64_t from, int count) {
        check_mpi(MPI_Irecv(received[part].data() + from, count, MPI_BYTE, other, kTag,
                            MPI_COMM_WORLD, &requests.emplace_back()),
                  "MPI_Irecv", what);
      });
      for_each_piece(send_counts[part], 1, [&](int64_t from, int count) {
        check_mpi(MPI_Isend(send[part].data() + from, count, MPI_BYTE, other, kTag, MPI_COMM_WORLD,
                            &requests.emplace_back()),
                  "MPI_Isend", what);
      });
    }
    check_mpi(MPI_Waitall(narrow<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE),
              "MPI_Waitall", what);
    return received;
  }

  void barrier(const char* what) override {
    check_mpi(MPI_Barrier(MPI_COMM_WORLD), "MPI_Barrier", what);
  }

  bool alarm() override {
    alarm_ = alarm_ || took_signal(MPI_ANY_SOURCE, kAlarmTag);
    return alarm_;
  }

  std::vector<int64_t> roll_call(double seconds) override {
    std::vector<int> missing;
    for (int other = 0; other < size_; ++other) {
      if (other == rank_) continue;
      signal(other, kRollTag);
      missing.push_back(other);
    }
    const double end = now_seconds() + seconds;
    while (true) {
      std::erase_if(missing, [&](int other) { return took_signal(other, kRollTag); });
      if (missing.empty() || now_seconds() > end) return {missing.begin(), missing.end()};
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  std::vector<std::string> meet(const std::string& words, double seconds) override {
    MPI_Request request = MPI_REQUEST_NULL;
    if (MPI_Ibarrier(aside_, &request) != MPI_SUCCESS) return {};
    const double end = now_seconds() + seconds;
    for (int met = 0; met == 0;) {
      if (MPI_Test(&request, &met, MPI_STATUS_IGNORE) != MPI_SUCCESS) return {};
      if (met != 0) break;
      if (now_seconds() > end) return {};
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::vector<char> mine(kWords), all(kWords * static_cast<size_t>(size_));
    words.copy(mine.data(), kWords - 1);
    if (MPI_Allgather(mine.data(), kWords, MPI_CHAR, all.data(), kWords, MPI_CHAR, aside_) !=
        MPI_SUCCESS) {
      return {};
    }
    std::vector<std::string> spoken;
    for (size_t rank = 0; rank < static_cast<size_t>(size_); ++rank) {
      spoken.emplace_back(&all[rank * kWords]);
    }
    return spoken;
  }

  [[noreturn]] void abort(int exit_code) override {
    MPI_Abort(MPI_COMM_WORLD, exit_code);
    std::_Exit(exit_code);
  }

 private:
  static constexpr int kTag = 1;
  static constexpr int kAlarmTag = 2;
  static constexpr int kRollTag = 3;
  static constexpr int kWords = 2048;

  void raise_alarm() override {
    for (int other = 0; other < size_; ++other) {
      if (other != rank_) signal(other, kAlarmTag);
    }
  }
  // An empty message: it leaves at once whether or not the other looks.
  void signal(int other, int tag) const {
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Isend(nullptr, 0, MPI_BYTE, other, tag, aside_, &request);
    MPI_Request_free(&request);
  }
  bool took_signal(int source, int tag) const {
    int waits = 0;
    const int status = MPI_Iprobe(source, tag, aside_, &waits, MPI_STATUS_IGNORE);
    if (status != MPI_SUCCESS || waits == 0) return false;
    MPI_Recv(nullptr, 0, MPI_BYTE, source, tag, aside_, MPI_STATUS_IGNORE);
    return true;
  }

  // Calls piece(first item, items) for runs of at most message_limit_bytes.
  template <class Piece>
  static void for_each_piece(int64_t items, int64_t item_bytes, Piece&& piece) {
    const int64_t most = std::max<int64_t>(1, message_limit_bytes / item_bytes);
    for (int64_t from = 0; from < items; from += most) {
      piece(from, narrow<int>(std::min(most, items - from)));
    }
  }

  template <class T>
  void all_reduce(std::span<T> values, MPI_Datatype type, MPI_Op operation, const char* what) {
    for_each_piece(static_cast<int64_t>(values.size()), sizeof(T), [&](int64_t from, int count) {
      check_mpi(
          MPI_Allreduce(MPI_IN_PLACE, values.data() + from, count, type, operation, MPI_COMM_WORLD),
          "MPI_Allreduce", what);
    });
  }

  MPI_Comm aside_ = MPI_COMM_NULL;
  std::vector<int> sizes_;    // of a gather's parts
  std::vector<int> offsets_;  // and where they begin
  bool alarm_ = false;        // another rank's
  int rank_ = 0;
  int size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
};

}  // namespace

std::unique_ptr<Communicator> make_world_communicator(int* argc, char*** argv) {
  // Without a launcher a world of one needs no MPI, and starting it costs a third of a second.
  if (!under_launcher()) return make_self_communicator();
  const auto launcher = launcher_world();
  yield_when_oversubscribed();
  int provided = MPI_THREAD_SINGLE;
  // Funnelled: threads compute and read, only the main thread communicates.
  check_mpi(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread",
            "start of MPI");
  auto world = std::make_unique<MpiCommunicator>();
  if (provided < MPI_THREAD_FUNNELED) {
    throw MachineError("this MPI library does not support threads (MPI_THREAD_FUNNELED)");
  }
  check_world_size(launcher, world->size());
  return world;
}

std::string mpi_version() {
  return library_name();
}

}  // namespace alm
