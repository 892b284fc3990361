#include "tests/simt/block.h"

#include <algorithm>

namespace simt {

std::vector<Thread> threads;
Thread* current = nullptr;
Arena arena;
std::string fault;

std::string text_of(Line at) {
  return std::string(at.file) + ":" + std::to_string(at.number);
}

std::string where(const Thread& thread) {
  const std::string name = "thread (" + std::to_string(thread.index.x) + "," +
                           std::to_string(thread.index.y) + "," + std::to_string(thread.index.z) +
                           ")";
  switch (thread.state) {
    case State::ready:
      return name + " runs";
    case State::done:
      return name + " has ended";
    case State::at_barrier:
      return name + " waits in __syncthreads at " + text_of(thread.at);
    default:
      return name + " waits in a warp operation at " + text_of(thread.at);
  }
}

void fail(const std::string& what) {
  if (fault.empty()) fault = what;
}

std::string where_all_are() {
  std::string text;
  std::vector<std::pair<State, int>> seen;
  for (const Thread& thread : threads) {
    const std::pair<State, int> place(thread.state, thread.at.number);
    if (std::find(seen.begin(), seen.end(), place) != seen.end()) continue;
    seen.push_back(place);
    text += "; " + where(thread);
  }
  return text;
}

}  // namespace simt
