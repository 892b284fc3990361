// The block that runs now: its threads, shared memory and first fault. One at a time in a process.
#pragma once

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/simt.cuh"
#include "tests/simt/arena.h"
#include "tests/simt/fibre.h"

namespace simt {

enum class State { ready, at_barrier, in_warp, done };

struct Thread {
  Fibre* fibre = nullptr;
  uint3 index{};
  unsigned number = 0;
  State state = State::done;
  Line at{};
  uint32_t mask = 0;
  std::deque<std::pair<runtime::AsyncCopy, int>> copies;  // with the group they belong to
  int copy_group = 0;
};

extern std::vector<Thread> threads;
extern Thread* current;
extern Arena arena;
extern std::string fault;  // of the kernel; the first one, or empty

void fail(const std::string& what);
// Of the thread that runs: others run until its turn comes again, in a state in which it may.
void let_others_run();
std::string text_of(Line at);
std::string where(const Thread& thread);
// One of each kind of place where threads of the block are.
std::string where_all_are();

// Warp operations (warp.cc): none is under way in a block that begins.
void begin_warps(size_t count);

}  // namespace simt
