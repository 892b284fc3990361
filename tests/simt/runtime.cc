// Runs a grid: one fibre a thread, one block at a time. Barriers and warp operations are meetings
// of fibres; what a GPU leaves undefined there ends the kernel with simt::Error. Compiled without
// sanitizers (see fibre.h).
#include "tests/simt/runtime.h"

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <memory>
#include <numeric>
#include <vector>

#include "kernels/cuda/simt.cuh"
#include "tests/simt/arena.h"
#include "tests/simt/fibre.h"

namespace simt {
namespace runtime {
const uint3* thread_index = nullptr;
uint3 block_index{};
dim3 block_size, grid_size;
void (*at_block_end)(unsigned threads) = nullptr;
}  // namespace runtime

namespace {

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

// A warp operation under way: lanes of `mask` arrive, see each other's values and leave.
struct Meeting {
  uint32_t mask = 0;
  uint32_t arrived = 0;
  uint32_t left = 0;
  Line at{};
  void* tag = nullptr;
  uint64_t values[32] = {};
  bool over() const { return arrived == mask; }
};

Order order = Order::forward;
uint64_t random_state = 1;
int64_t launched = 0;

std::vector<std::unique_ptr<Fibre>> fibres[2];
std::vector<Thread> threads;
std::vector<std::vector<std::unique_ptr<Meeting>>> meetings;  // by warp
std::vector<std::unique_ptr<Meeting>> spare_meetings;
std::vector<unsigned> thread_order, block_order;
Thread* current = nullptr;
const std::function<void()>* kernel_body = nullptr;
const char* kernel_name_now = "";
Arena arena;
bool running = false;
unsigned waiting_at_barrier = 0;
std::string fault;
char launch_tag, end_tag;
int64_t barriers_opened = 0;           // in this block
std::vector<int64_t> meetings_called;  // by warp, in this block

uint64_t draw() {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

void shuffle(std::vector<unsigned>& numbers) {
  for (size_t i = numbers.size(); i > 1; --i) std::swap(numbers[i - 1], numbers[draw() % i]);
}

// 0, 1, ... in the order of the schedule.
void put_in_order(size_t count, std::vector<unsigned>& numbers) {
  numbers.resize(count);
  std::iota(numbers.begin(), numbers.end(), 0u);
  if (order == Order::reverse) std::reverse(numbers.begin(), numbers.end());
  if (order == Order::random) shuffle(numbers);
}

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

// One of each kind of place where threads of the block are.
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
  current->fibre->leave(true);
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
  size_t live = threads.size();
  put_in_order(live, thread_order);
  while (live > 0 && fault.empty()) {
    bool ran = false;
    if (order == Order::random) shuffle(thread_order);
    for (const unsigned number : thread_order) {
      Thread& thread = threads[number];
      if (thread.state != State::ready) continue;
      ran = true;
      current = &thread;
      runtime::thread_index = &thread.index;
      thread.fibre->enter();
      if (thread.state == State::done) --live;
      if (!fault.empty()) return;
    }
    if (waiting_at_barrier > 0 && waiting_at_barrier == live) {
      open_barrier();
    } else if (!ran && live > 0) {
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
  meetings.clear();
  meetings.resize((count + 31) / 32);
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
  meetings_called.assign(meetings.size(), 0);
}

Meeting& arrive(uint32_t mask, uint64_t value, Line at) {
  const unsigned lane = runtime::lane();
  if ((mask >> lane & 1) == 0) {
    throw Error("warp operation by a lane that is not in its own mask, " + text_of(at));
  }
  std::vector<std::unique_ptr<Meeting>>& of_warp = meetings[current->number / 32];
  Meeting* meeting = nullptr;
  for (const auto& one : of_warp) {
    if (one->mask == mask && !one->over()) meeting = one.get();
  }
  if (meeting == nullptr) {
    if (spare_meetings.empty()) spare_meetings.push_back(std::make_unique<Meeting>());
    of_warp.push_back(std::move(spare_meetings.back()));
    spare_meetings.pop_back();
    meeting = of_warp.back().get();
    meeting->mask = mask;
    meeting->arrived = meeting->left = 0;
    meeting->at = at;
    const size_t warp = current->number / 32;
    meeting->tag = arena.warp_tag(warp, meetings_called[warp]++);
  }
  if (meeting->at.number != at.number) {
    fail("lanes of a warp meet at different lines, " + text_of(meeting->at) + " and " +
         text_of(at));
  }
  meeting->values[lane] = value;
  meeting->arrived |= 1u << lane;
  current->at = at;
  current->mask = mask;
  return *meeting;
}

void wake(const Meeting& meeting) {
  const size_t first = current->number / 32 * 32;
  for (size_t lane = 0; lane < 32 && first + lane < threads.size(); ++lane) {
    Thread& thread = threads[first + lane];
    if ((meeting.mask >> lane & 1) != 0 && thread.state == State::in_warp &&
        thread.mask == meeting.mask) {
      thread.state = State::ready;
    }
  }
}

// Arrives and waits for all lanes of the mask.
Meeting& meet(uint32_t mask, uint64_t value, bool orders_memory, Line at) {
  Meeting* meeting = nullptr;
  {
    const Unwatched unwatched;
    meeting = &arrive(mask, value, at);
  }
  if (orders_memory) order_release(meeting->tag);
  if (meeting->over()) {
    wake(*meeting);
  } else {
    current->state = State::in_warp;
    current->fibre->leave(false);
  }
  if (orders_memory) order_acquire(meeting->tag);
  return *meeting;
}

void depart(Meeting& meeting) {
  const Unwatched unwatched;
  meeting.left |= 1u << runtime::lane();
  if (meeting.left != meeting.mask) return;
  std::vector<std::unique_ptr<Meeting>>& of_warp = meetings[current->number / 32];
  const auto ended = std::find_if(of_warp.begin(), of_warp.end(),
                                  [&](const auto& one) { return one.get() == &meeting; });
  spare_meetings.push_back(std::move(*ended));
  of_warp.erase(ended);
}

}  // namespace

void set_schedule(Order wanted, uint64_t seed) {
  order = wanted;
  random_state = seed * 0x9e3779b97f4a7c15u | 1;
}

int64_t launches() {
  return launched;
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
  current->fibre->leave(false);
  order_acquire(tag);
}

void exchange(uint32_t mask, uint64_t value, uint64_t (&of_lanes)[32], bool orders_memory,
              Line at) {
  Meeting& meeting = meet(mask, value, orders_memory, at);
  std::copy(meeting.values, meeting.values + 32, of_lanes);
  depart(meeting);
}

uint64_t shuffle(uint32_t mask, uint64_t value, unsigned source, Line at) {
  if ((mask >> source & 1) == 0) {
    throw Error("shuffle reads a lane that is not in the mask, " + text_of(at));
  }
  Meeting& meeting = meet(mask, value, false, at);
  const uint64_t result = meeting.values[source];
  depart(meeting);
  return result;
}

void* shared_array(const void* key, size_t bytes, Line at) {
  const Unwatched unwatched;
  return arena.array(key, bytes, text_of(at));
}

void push_copy(const AsyncCopy& copy) {
  const Unwatched unwatched;
  current->copies.emplace_back(copy, current->copy_group);
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
  ++launched;
  kernel_body = &body;
  kernel_name_now = kernel;
  grid_size = grid;
  block_size = block;
  fault.clear();
  running = true;
  uint64_t turn = 0;
  put_in_order(size_t{grid.x} * grid.y * grid.z, block_order);
  for (const unsigned number : block_order) {
    block_index = {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
    arena.begin_block();
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
