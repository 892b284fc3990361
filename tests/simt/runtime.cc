// Runs a grid: one fibre a thread, one block at a time. Barriers and warp operations are meetings
// of fibres; what a GPU leaves undefined there ends the kernel with simt::Error. Compiled without
// sanitizers (see fibre.h).
#include "tests/simt/runtime.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "tests/simt/block.h"
#include "tests/simt/order.h"

namespace simt {
namespace runtime {
const uint3* thread_index = nullptr;
uint3 block_index{};
dim3 block_size, grid_size;
void (*at_launch)() = nullptr;
void (*at_block_end)(unsigned threads) = nullptr;
void (*at_copy)(const void* from, int bytes, void* instruction) = nullptr;
}  // namespace runtime

namespace {

std::vector<std::unique_ptr<Fibre>> fibres[2];
std::vector<unsigned> thread_order, block_order;
const std::function<void()>* kernel_body = nullptr;
const char* kernel_name_now = "";
bool running = false;
char launch_tag, end_tag;
unsigned waiting_at_barrier = 0;
int64_t barriers_opened = 0;  // in this block
size_t live = 0;              // threads of this block that have not ended
size_t round_place = 0;       // in thread_order, of who has its turn next

// Makes the next thread of this round that can run the one that runs; null when there is none.
Fibre* next_of_round() {
  if (!fault.empty()) return nullptr;
  while (round_place < thread_order.size()) {
    Thread& thread = threads[thread_order[round_place++]];
    if (thread.state != State::ready) continue;
    current = &thread;
    runtime::thread_index = &thread.index;
    return thread.fibre;
  }
  return nullptr;
}

void entry() {
  Fibre::arrived();
  order_acquire(&launch_tag);
  try {
    (*kernel_body)();
  } catch (const std::exception& error) {
    fail(error.what());
  }
  if (!current->copies.empty())
    fail("a thread ended with cp.async copies that it never waited for");
  order_release(&end_tag);
  current->state = State::done;
  --live;
  Fibre* const mine = current->fibre;
  mine->leave(next_of_round(), true);
  std::abort();  // nobody comes back here
}

void open_barrier() {
  const Thread* first = nullptr;
  for (Thread& thread : threads) {
    if (thread.state != State::at_barrier) continue;
    if (first != nullptr && first->at.number != thread.at.number) {
      fail("different barriers: " + where(*first) + "; " + where(thread));
    }
    if (first == nullptr) first = &thread;
  }
  if (waiting_at_barrier != threads.size()) {
    fail("a barrier that not all threads reach" + where_all_are());
  }
  for (Thread& thread : threads) {
    if (thread.state == State::at_barrier) thread.state = State::ready;
  }
  waiting_at_barrier = 0;
  ++barriers_opened;
}

void run_threads() {
  live = threads.size();
  put_in_order(live, thread_order);
  while (live > 0) {
    if (order_is_random()) shuffle(thread_order);
    round_place = 0;
    Fibre* const first = next_of_round();
    if (first != nullptr) first->enter();
    if (!fault.empty()) return;
    if (waiting_at_barrier > 0 && waiting_at_barrier == live) {
      open_barrier();
    } else if (first == nullptr && live > 0) {
      fail("threads wait for ever" + where_all_are());
    }
  }
}

// `turn` counts the blocks of a grid. One and the next have fibres of their own: to ThreadSanitizer
// a fibre's accesses are ordered, and a barrier would spread that order to the whole block.
void ready_threads(dim3 block, uint64_t turn) {
  std::vector<std::unique_ptr<Fibre>>& of_block = fibres[turn % 2];
  const size_t count = size_t{block.x} * block.y * block.z;
  while (of_block.size() < count) of_block.push_back(std::make_unique<Fibre>());
  threads.resize(count);
  for (size_t i = 0; i < count; ++i) {
    Thread& thread = threads[i];
    thread.fibre = of_block[i].get();
    thread.fibre->prepare(entry);
    thread.number = static_cast<unsigned>(i);
    thread.index = {thread.number % block.x, thread.number / block.x % block.y,
                    thread.number / block.x / block.y};
    thread.state = State::ready;
    thread.copies.clear();
    thread.copy_group = 0;
  }
  waiting_at_barrier = 0;
  barriers_opened = 0;
  const size_t warps = (count + 31) / 32;
  arena.begin_block(warps);
  begin_warps(warps);
}

}  // namespace

void let_others_run() {
  Fibre* const mine = current->fibre;
  mine->leave(next_of_round(), false);
}

namespace runtime {

unsigned lane() {
  return current->number % 32;
}
unsigned thread_number() {
  return current->number;
}
const char* kernel() {
  return kernel_name_now;
}

Space space_of(const void* address) {
  if (!running) return Space::none;
  if (arena.holds(address)) return Space::shared;
  return is_device_memory(address) ? Space::global : Space::none;
}

void barrier(Line at) {
  current->state = State::at_barrier;
  current->at = at;
  ++waiting_at_barrier;
  void* const tag = arena.barrier_tag(barriers_opened);
  order_release(tag);
  let_others_run();
  order_acquire(tag);
}

void* shared_array(const void* key, size_t bytes, Line at) {
  const Unwatched unwatched;
  return arena.array(key, bytes, at);
}

void push_copy(const AsyncCopy& copy) {
  const Unwatched unwatched;
  current->copies.emplace_back(copy, current->copy_group);
  if (at_copy != nullptr) at_copy(copy.from, copy.bytes, __builtin_return_address(0));
}
void commit_copies() {
  ++current->copy_group;
}
bool take_copy(int pending, AsyncCopy& copy) {
  const Unwatched unwatched;
  auto& copies = current->copies;
  if (copies.empty() || copies.front().second >= current->copy_group - pending) return false;
  copy = copies.front().first;
  copies.pop_front();
  return true;
}

cudaError_t check_launch(dim3 grid, dim3 block) {
  constexpr unsigned kMostThreads = 1024;
  const uint64_t count = uint64_t{block.x} * block.y * block.z;
  const bool possible = count > 0 && count <= kMostThreads && block.z <= 64 && grid.x > 0 &&
                        grid.x <= 0x7fffffff && grid.y > 0 && grid.y <= 65535 && grid.z > 0 &&
                        grid.z <= 65535;
  return possible ? cudaSuccess : cudaErrorInvalidConfiguration;
}

void run_grid(const std::function<void()>& body, dim3 grid, dim3 block, const char* kernel) {
  kernel_body = &body;
  kernel_name_now = kernel;
  grid_size = grid;
  block_size = block;
  fault.clear();
  running = true;
  if (at_launch != nullptr) at_launch();
  uint64_t turn = 0;
  put_in_order(size_t{grid.x} * grid.y * grid.z, block_order);
  for (const unsigned number : block_order) {
    block_index = {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
    ready_threads(block, turn++);
    order_release(&launch_tag);
    run_threads();
    // What follows is unordered with what the threads did: to ThreadSanitizer blocks are.
    const Unwatched unwatched;
    if (at_block_end != nullptr) at_block_end(static_cast<unsigned>(threads.size()));
    arena.end_block();
    if (!fault.empty()) {
      running = false;
      order_acquire(&end_tag);
      throw Error("block (" + std::to_string(block_index.x) + "," + std::to_string(block_index.y) +
                  "," + std::to_string(block_index.z) + ") of " + kernel + ": " + fault);
    }
  }
  running = false;
  order_acquire(&end_tag);
}

}  // namespace runtime
}  // namespace simt
