// A world of ranks that are threads of this process, to test what ranks agree on without MPI.
#pragma once

#include <algorithm>
#include <barrier>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "engine/comm/communicator.h"

namespace alm {

class ThreadWorld {
 public:
  explicit ThreadWorld(int64_t ranks)
      : ranks_(ranks), slots_(static_cast<size_t>(ranks)), barrier_(ranks) {}

  // Runs body(communicator) on every rank at once and waits.
  void run(const std::function<void(Communicator&)>& body) {
    std::vector<std::thread> threads;
    for (int64_t rank = 0; rank < ranks_; ++rank) {
      threads.emplace_back([this, rank, &body] {
        Rank comm(*this, rank);
        body(comm);
      });
    }
    for (auto& thread : threads) thread.join();
  }

 private:
  class Rank final : public Communicator {
   public:
    Rank(ThreadWorld& world, int64_t rank) : world_(world), rank_(rank) {}
    int64_t rank() const override { return rank_; }
    int64_t size() const override { return world_.ranks_; }
    int64_t local_rank() const override { return rank_; }
    int64_t local_size() const override { return world_.ranks_; }
    std::string name() const override { return "threads"; }
    void all_reduce_sum(std::span<int64_t> values, const char*) override {
      fold(values, [](auto a, auto b) { return a + b; });
    }
    void all_reduce_sum(std::span<float> values, const char*) override {
      fold(values, [](auto a, auto b) { return a + b; });
    }
    void all_reduce_sum(std::span<double> values, const char*) override {
      fold(values, [](auto a, auto b) { return a + b; });
    }
    void all_reduce_max(std::span<float> values, const char*) override {
      fold(values, [](auto a, auto b) { return std::max(a, b); });
    }
    void all_reduce_max(std::span<int64_t> values, const char*) override {
      fold(values, [](auto a, auto b) { return std::max(a, b); });
    }
    void all_reduce_min(std::span<int64_t> values, const char*) override {
      fold(values, [](auto a, auto b) { return std::min(a, b); });
    }
    void broadcast(std::span<std::byte> bytes, int64_t root, const char*) override {
      const auto all = exchange({bytes.begin(), bytes.end()});
      std::copy(all[root].begin(), all[root].end(), bytes.begin());
    }
    void all_gather(int64_t mine, std::vector<int64_t>& of_ranks, const char*) override {
      of_ranks.clear();
      const auto bytes = std::as_bytes(std::span(&mine, 1));
      for (const auto& part : exchange({bytes.begin(), bytes.end()})) {
        std::memcpy(&of_ranks.emplace_back(), part.data(), sizeof(int64_t));
      }
    }
    void all_gather_in_place(std::span<std::byte> all, std::span<const int64_t> counts,
                             const char*) override {
      const int64_t before = std::accumulate(counts.begin(), counts.begin() + rank_, int64_t{0});
      const auto mine = all.subspan(static_cast<size_t>(before),
                                    static_cast<size_t>(counts[static_cast<size_t>(rank_)]));
      auto to = all.begin();
      for (const auto& part : exchange({mine.begin(), mine.end()})) {
        to = std::copy(part.begin(), part.end(), to);
      }
    }
    std::vector<std::vector<std::byte>> all_to_all_v(
        const std::vector<std::vector<std::byte>>& send, const char*) override {
      std::vector<std::vector<std::byte>> received;
      for (int64_t to = 0; to < size(); ++to) {
        const auto all = exchange(send[static_cast<size_t>(to)]);
        if (to == rank_) received = all;
      }
      return received;
    }
    void barrier(const char*) override { world_.barrier_.arrive_and_wait(); }
    bool alarm() override { return false; }
    std::vector<int64_t> roll_call(double) override {
      barrier("roll call");
      return {};
    }
    std::vector<std::string> meet(const std::string& words, double) override {
      return all_gather_strings(words, "meeting");
    }
    [[noreturn]] void abort(int) override { std::terminate(); }

   private:
    void raise_alarm() override {}
    std::vector<std::vector<std::byte>> exchange(std::vector<std::byte> mine) {
      world_.slots_[static_cast<size_t>(rank_)] = std::move(mine);
      world_.barrier_.arrive_and_wait();
      auto all = world_.slots_;
      world_.barrier_.arrive_and_wait();
      return all;
    }
    template <class T, class Op>
    void fold(std::span<T> values, Op op) {
      const auto bytes = std::as_bytes(values);
      const auto all = exchange({bytes.begin(), bytes.end()});
      for (size_t i = 0; i < values.size(); ++i) {
        T result{};
        for (size_t r = 0; r < all.size(); ++r) {
          T value;
          std::memcpy(&value, all[r].data() + i * sizeof(T), sizeof(T));
          result = r == 0 ? value : op(result, value);
        }
        values[i] = result;
      }
    }

    ThreadWorld& world_;
    int64_t rank_;
  };

  int64_t ranks_;
  std::vector<std::vector<std::byte>> slots_;
  std::barrier<> barrier_;
};

}  // namespace alm
