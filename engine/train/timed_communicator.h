// A communicator whose collectives are timed: each is a span of Phase::ranks under its own name.
#pragma once

#include "engine/comm/communicator.h"
#include "engine/train/phases.h"

namespace alm {

class TimedCommunicator final : public Communicator {
 public:
  // Both must outlive it.
  TimedCommunicator(Communicator& world, Phases& phases) : world_(world), phases_(phases) {}

  int64_t rank() const override { return world_.rank(); }
  int64_t size() const override { return world_.size(); }
  int64_t local_rank() const override { return world_.local_rank(); }
  int64_t local_size() const override { return world_.local_size(); }
  std::string name() const override { return world_.name(); }

  using Communicator::all_reduce_sum;
  void all_reduce_sum(std::span<int64_t> values, const char* what) override {
    const PhaseSpan span(phases_, Phase::ranks, what);
    world_.all_reduce_sum(values, what);
  }
  void all_reduce_sum(std::span<float> values, const char* what) override {
    const PhaseSpan span(phases_, Phase::ranks, what);
    world_.all_reduce_sum(values, what);
  }
  void all_reduce_sum(std::span<double> values, const char* what) override {
    const PhaseSpan span(phases_, Phase::ranks, what);
    world_.all_reduce_sum(values, what);
  }
  void all_reduce_max(std::span<float> values, const char* what) override {
    const PhaseSpan span(phases_, Phase::ranks, what);
    world_.all_reduce_max(values, what);
  }
  void all_reduce_max(std::span<int64_t> values, const char* what) override {
    const PhaseSpan span(phases_, Phase::ranks, what);
    world_.all_reduce_max(values, what);
  }
  void all_reduce_min(std::span<int64_t> values, const char* what) override {
    const PhaseSpan span(phases_, Phase::ranks, what);
    world_.all_reduce_min(values, what);
  }
  void broadcast(std::span<std::byte> bytes, int64_t root, const char* what) override {
    const PhaseSpan span(phases_, Phase::ranks, what);
    world_.broadcast(bytes, root, what);
  }
  void all_gather(int64_t mine, std::vector<int64_t>& of_ranks, const char* what) override {
    const PhaseSpan span(phases_, Phase::ranks, what);
    world_.all_gather(mine, of_ranks, what);
  }
  void all_gather_in_place(std::span<std::byte> all, std::span<const int64_t> counts,
                           const char* what) override {
    const PhaseSpan span(phases_, Phase::ranks, what);
    world_.all_gather_in_place(all, counts, what);
  }
  std::vector<std::vector<std::byte>> all_to_all_v(const std::vector<std::vector<std::byte>>& send,
                                                   const char* what) override {
    const PhaseSpan span(phases_, Phase::ranks, what);
    return world_.all_to_all_v(send, what);
  }
  void barrier(const char* what) override {
    const PhaseSpan span(phases_, Phase::ranks, what);
    world_.barrier(what);
  }
  bool alarm() override { return world_.alarm(); }
  void raise_alarm() override { world_.raise_alarm(); }
  std::vector<int64_t> roll_call(double seconds) override { return world_.roll_call(seconds); }
  std::vector<std::string> meet(const std::string& words, double seconds) override {
    return world_.meet(words, seconds);
  }
  [[noreturn]] void abort(int exit_code) override {
    world_.abort(exit_code);
    __builtin_unreachable();  // of a virtual call the compiler does not know it
  }

 private:
  Communicator& world_;
  Phases& phases_;
};

}  // namespace alm
