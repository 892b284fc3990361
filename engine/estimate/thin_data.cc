#include "engine/estimate/thin_data.h"

#include <cmath>

#include "kernels/base/text.h"

namespace alm {

std::string too_thin(int64_t touches, int64_t users, double ess, bool arms) {
  if (touches >= kLeastTouches && users >= kLeastUsers && ess >= kLeastEss) return "";
  // The counts stand beside it: one sentence for all lets a reader count them.
  return format(
      "too little data: an interval takes %lld %s, %lld users and an effective sample of %g",
      static_cast<long long>(kLeastTouches),
      arms ? "journeys of the arm and of the reference" : "touches",
      static_cast<long long>(kLeastUsers), kLeastEss);
}

io::Json no_estimate(const std::string& why) {
  return {{"plugin", nullptr},        {"one_step", nullptr}, {"se", nullptr}, {"ci95", nullptr},
          {"clipped_share", nullptr}, {"ess", nullptr},      {"why", why}};
}

void put_number(io::Json& json, const std::string& key, double value, const std::string& why) {
  json[key] = io::number(value);
  if (!std::isfinite(value)) json[key + "_why"] = why;
}

void put_interval(io::Json& json, const MeanEstimate& estimate, const std::string& why,
                  const char* unknown) {
  json["se"] = nullptr;
  json["ci95"] = nullptr;
  if (!why.empty() || !std::isfinite(estimate.se)) {
    json["se_why"] = json["ci95_why"] = why.empty() ? unknown : why;
    return;
  }
  const std::array<double, 2> ci95 = estimate.ci95();
  json["se"] = estimate.se;
  json["ci95"] = {ci95[0], ci95[1]};
}

}  // namespace alm
