// Orders of threads and blocks, as set by set_schedule() (runtime.h).
#pragma once

#include <cstddef>
#include <vector>

namespace simt {

bool order_is_random();
void shuffle(std::vector<unsigned>& numbers);
// 0, 1, ... in the order of the schedule.
void put_in_order(size_t count, std::vector<unsigned>& numbers);

}  // namespace simt
