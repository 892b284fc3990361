// The orders in which a test of the CUDA ops runs them. On the host: forward, reverse and random
// ones by seed; on a GPU its own alone.
#pragma once

#include <string>

namespace alm {

int schedules();
// Ops queued from here on run by schedule `number`; its name.
std::string use_schedule(int number);
// Whether this build tries cases of that many numbers in all arrays together.
bool fits_this_build(long long numbers);

}  // namespace alm
