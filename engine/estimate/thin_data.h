// How much data an effect takes before its interval, or its place in a ranking, means anything.
#pragma once

#include <cstdint>
#include <string>

#include "engine/estimate/user_sums.h"
#include "io/json.h"

namespace alm {

// Touches: as in contract 3 `truth`. Users: the error is a spread over users, and that of ten is
// itself known to a quarter (1 / sqrt(2 n)). Effective sample: the same, for the rows that the
// weights leave.
inline constexpr int64_t kLeastTouches = 20;
inline constexpr int64_t kLeastUsers = 10;
inline constexpr double kLeastEss = 10;

// Why an effect of so many touches (arm logs: journeys) has no interval and no place in a ranking;
// empty where there is enough.
std::string too_thin(int64_t touches, int64_t users, double ess, bool arms);

// All keys of an estimate, none with a value.
io::Json no_estimate(const std::string& why);

// json[key] = the number; or null, and `why` under KEY_why, when it is NaN or infinite.
void put_number(io::Json& json, const std::string& key, double value, const std::string& why);

// `se` and `ci95` of an estimate: null with `why` where that is not empty, null with `unknown`
// where the error is not finite.
void put_interval(io::Json& json, const MeanEstimate& estimate, const std::string& why,
                  const char* unknown);

}  // namespace alm
