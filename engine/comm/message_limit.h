// MPI counts are ints: larger messages are cut.
#pragma once

#include <cstdint>

namespace alm {

// Bytes of one MPI message; tests lower it to walk the cutting with small data.
inline int64_t message_limit_bytes = int64_t{1} << 30;

}  // namespace alm
