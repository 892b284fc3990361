// Talk between ranks: host spans in, host spans out (device_communicator.h: memory of devices).
// Every function but rank(), size(), name(), alarm(), raise_alarm(), roll_call() and abort() is
// COLLECTIVE: all ranks call it in the same order with equal sizes (all_gather_v and its like,
// all_to_all_v: sizes free), and never inside a rank-dependent branch. `what` names the operation
// in messages. Failures throw MachineError. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/fixed_point.h"

namespace alm {

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int64_t rank() const = 0;
  virtual int64_t size() const = 0;
  // Rank and size among the ranks of this host (for threads per rank and devices).
  virtual int64_t local_rank() const = 0;
  virtual int64_t local_size() const = 0;
  // "self" or "mpi (Open MPI 4.1.4)".
  virtual std::string name() const = 0;

  // In place, element-wise. Integer sums are exact and so independent of order and of the rank
  // count.
  virtual void all_reduce_sum(std::span<int64_t> values, const char* what) = 0;
  virtual void all_reduce_sum(std::span<float> values, const char* what) = 0;
  virtual void all_reduce_sum(std::span<double> values, const char* what) = 0;
  virtual void all_reduce_max(std::span<float> values, const char* what) = 0;
  virtual void all_reduce_max(std::span<int64_t> values, const char* what) = 0;
  virtual void all_reduce_min(std::span<int64_t> values, const char* what) = 0;
  // Root's bytes to all; equal sizes on all ranks.
  virtual void broadcast(std::span<std::byte> bytes, int64_t root, const char* what) = 0;
  // of_ranks[r] receives the number of rank r.
  virtual void all_gather(int64_t mine, std::vector<int64_t>& of_ranks, const char* what) = 0;
  // In place: `all` has a part for each rank, by rank, of counts[r] bytes, and this rank's is
  // there. `counts` is the same on all ranks.
  virtual void all_gather_in_place(std::span<std::byte> all, std::span<const int64_t> counts,
                                   const char* what) = 0;
  // send[r] goes to rank r; the result holds what each rank sent here, by rank.
  virtual std::vector<std::vector<std::byte>> all_to_all_v(
      const std::vector<std::vector<std::byte>>& send, const char* what) = 0;
  virtual void barrier(const char* what) = 0;

  // True once another rank has failed inside together(): work that lasts looks now and then, and
  // ends early. NOT collective.
  virtual bool alarm() = 0;
  // Makes alarm() true on the other ranks, soon; what together() does. NOT collective.
  virtual void raise_alarm() = 0;
  // The ranks, ascending, that did not call it within `seconds`, the first of them all: of those
  // that came it has the same number of calls. NOT collective, and so what precedes a collective
  // that a rank may be missing from, or asks after one who is.
  virtual std::vector<int64_t> roll_call(double seconds) = 0;
  // The last collective of a rank that cannot go on, with what it has to say. Waits at most
  // `seconds` for all ranks to come here, whatever collectives they left; then gives their words
  // by rank (cut to some 2,000 bytes). Empty when not all came: they wait in other collectives, and
  // only abort() ends them.
  virtual std::vector<std::string> meet(const std::string& words, double seconds) = 0;
  // NOT collective: ends every rank at once with this exit code.
  [[noreturn]] virtual void abort(int exit_code) = 0;

  // Runs `body` on every rank. When it throws on any, all throw the error of the lowest such rank,
  // its number in front unless it is 0: so no rank goes on to wait for one that is gone. `body`
  // holds no collectives.
  void together(const char* what, const std::function<void()>& body);

  // Every rank's bytes, by rank; sizes may differ. counts[r] receives the bytes of rank r.
  void all_gather_v(std::span<const std::byte> mine, std::vector<std::byte>& all,
                    std::vector<int64_t>& counts, const char* what);
  // Exact order-free sum of fixed-point sums, in place (limbs on the wire).
  void all_reduce_sum(std::span<FixedSum> sums, const char* what);
  // Strings of any length, by rank.
  std::vector<std::string> all_gather_strings(const std::string& mine, const char* what);
  // Root's string to all.
  std::string broadcast_string(const std::string& text, int64_t root, const char* what);

 private:
  std::vector<int64_t> limbs_;  // kept, so that summing every step allocates nothing
};

// A world of one; needs no MPI.
std::unique_ptr<Communicator> make_self_communicator();

// Starts MPI when built with it and started by a launcher (mpirun, srun: seen by their environment
// variables), else a world of one at once. Compares the world with what the launcher says
// (OMPI_COMM_WORLD_SIZE, SLURM_STEP_NUM_TASKS) and refuses a mismatch with a UserError.
// The returned object ends MPI when destroyed. Call once.
std::unique_ptr<Communicator> make_world_communicator(int* argc, char*** argv);

}  // namespace alm
