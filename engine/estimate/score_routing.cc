// One message from every rank to every rank: for each class a count, the bits, the weights.
#include "engine/estimate/score_routing.h"

#include <cstddef>
#include <cstring>

namespace alm {

std::vector<ScoresByClass> routed_by_bin(const std::vector<ScoresByClass>& parts,
                                         const std::vector<int32_t>& owner, bool weighted,
                                         ThreadPool& pool, Communicator& comm) {
  const size_t ranks = static_cast<size_t>(comm.size());
  std::vector<std::vector<std::byte>> send(ranks);
  pool.parallel_for(comm.size(), [&](int64_t rank, int64_t) {
    ScoresByClass to;
    if (weighted) to.make_weighted();
    for (const ScoresByClass& part : parts) {
      for (size_t c = 0; c < ScoresByClass::kClasses; ++c) {
        for (size_t i = 0; i < part.bits[c].size(); ++i) {
          if (owner[part.bits[c][i] >> 16] != rank) continue;
          to.bits[c].push_back(part.bits[c][i]);
          if (weighted) {
            to.weight[c].push_back(static_cast<float>(weight_at(part, c, i, weighted)));
          }
        }
      }
    }
    std::vector<std::byte>& out = send[static_cast<size_t>(rank)];
    const auto put = [&](const void* from, size_t bytes) {
      const auto* const begin = static_cast<const std::byte*>(from);
      out.insert(out.end(), begin, begin + bytes);
    };
    for (size_t c = 0; c < ScoresByClass::kClasses; ++c) {
      const uint64_t size = to.bits[c].size();
      put(&size, sizeof size);
      put(to.bits[c].data(), size * sizeof(uint32_t));
      if (weighted) put(to.weight[c].data(), size * sizeof(float));
    }
  });
  std::vector<ScoresByClass> received(ranks);
  const auto messages = comm.all_to_all_v(send, "scores of refined bins");
  for (size_t from = 0; from < ranks; ++from) {
    const std::byte* at = messages[from].data();
    const auto get = [&](void* to, size_t bytes) {
      if (bytes > 0) std::memcpy(to, at, bytes);
      at += bytes;
    };
    if (weighted) received[from].make_weighted();
    for (size_t c = 0; c < ScoresByClass::kClasses; ++c) {
      uint64_t size;
      get(&size, sizeof size);
      received[from].bits[c].resize(size);
      get(received[from].bits[c].data(), size * sizeof(uint32_t));
      if (!weighted) continue;
      received[from].weight[c].resize(size);
      get(received[from].weight[c].data(), size * sizeof(float));
    }
  }
  return received;
}

}  // namespace alm
