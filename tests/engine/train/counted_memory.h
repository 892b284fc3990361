// What this program asks operator new for.
#pragma once

#include <atomic>
#include <cstdint>

namespace alm::counted_memory {

extern thread_local bool this_thread;  // whether `allocations` counts those of this thread
extern std::atomic<int64_t> allocations;
extern std::atomic<int64_t> held;  // bytes, of all threads
extern std::atomic<int64_t> peak;  // the most that was held since it was last set

}  // namespace alm::counted_memory
