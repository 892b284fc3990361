// A log in which rows count as often as a function of their user says: what a bootstrap of users
// draws, without copying the log.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "io/log_reader.h"

namespace alm::io {

// Finite, at least 0. A pure function, called from many threads.
using UserWeight = std::function<float(uint64_t user)>;

// The same rows in the same order, each with /journey/weight (1 if the log has none) times the
// weight of its user. Every row stays, so that whoever counted rows of `log` counted those of the
// result. Thread-safe.
std::shared_ptr<const Log> weigh_users(std::shared_ptr<const Log> log, UserWeight weight);

}  // namespace alm::io
