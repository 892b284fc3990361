// A world of one: every collective is the identity.
#include <cstdlib>

#include "engine/comm/communicator.h"

namespace alm {
namespace {

class SelfCommunicator : public Communicator {
 public:
  int64_t rank() const override { return 0; }
  int64_t size() const override { return 1; }
  int64_t local_rank() const override { return 0; }
  int64_t local_size() const override { return 1; }
  std::string name() const override { return "self"; }

  using Communicator::all_reduce_sum;
  void all_reduce_sum(std::span<int64_t>, const char*) override {}
  void all_reduce_sum(std::span<float>, const char*) override {}
  void all_reduce_sum(std::span<double>, const char*) override {}
  void all_reduce_max(std::span<float>, const char*) override {}
  void all_reduce_max(std::span<int64_t>, const char*) override {}
  void all_reduce_min(std::span<int64_t>, const char*) override {}
  void broadcast(std::span<std::byte>, int64_t root, const char* what) override {
    ALM_CHECK(root == 0, "%s: root %lld in a world of one", what, static_cast<long long>(root));
  }
  void all_gather(int64_t mine, std::vector<int64_t>& of_ranks, const char*) override {
    of_ranks.assign(1, mine);
  }
  void all_gather_in_place(std::span<std::byte>, std::span<const int64_t>, const char*) override {}
  std::vector<std::vector<std::byte>> all_to_all_v(const std::vector<std::vector<std::byte>>& send,
                                                   const char* what) override {
    ALM_CHECK(send.size() == 1, "%s: %zu parts for a world of one", what, send.size());
    return send;
  }
  void barrier(const char*) override {}
  bool alarm() override { return false; }
  std::vector<int64_t> roll_call(double) override { return {}; }
  std::vector<std::string> meet(const std::string& words, double) override { return {words}; }
  // Not exit(): other threads may be running, and nothing of this process is worth finishing.
  [[noreturn]] void abort(int exit_code) override { std::_Exit(exit_code); }

 private:
  void raise_alarm() override {}
};

}  // namespace

std::unique_ptr<Communicator> make_self_communicator() {
  return std::make_unique<SelfCommunicator>();
}

}  // namespace alm
