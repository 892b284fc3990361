// Ranges of axes, their ticks and the labels of those.
#include <algorithm>
#include <cmath>

#include "engine/report/html.h"
#include "engine/report/svg_parts.h"

namespace alm::report {

std::string tick_label(double value, int decimals) {
  return fixed(std::fabs(value) < 1e-12 ? 0 : value, decimals);
}

std::string power_label(double tick) {
  return fixed(std::pow(10, tick), std::max(0, -static_cast<int>(std::lround(tick))));
}

double widest(const Ticks& ticks) {
  double width = 0;
  for (const double tick : ticks.at) {
    width = std::max(width, text_width(tick_label(tick, ticks.decimals), kFont));
  }
  return width;
}

Ticks whole_ticks(double low, double high) {
  Ticks ticks;
  for (double tick = std::ceil(low); tick <= high; ++tick) ticks.at.push_back(tick);
  return ticks;
}

Ticks horizontal_ticks(double low, double high, double length) {
  for (int wanted = 7; wanted > 1; --wanted) {
    Ticks ticks = nice_ticks(low, high, wanted);
    const double spacing =
        ticks.at.size() < 2 ? length : (ticks.at[1] - ticks.at[0]) / (high - low) * length;
    if (spacing > widest(ticks) + 14) return ticks;
  }
  return nice_ticks(low, high, 1);
}

Ticks nice_ticks(double low, double high, int wanted) {
  Ticks ticks;
  const double raw = (high - low) / std::max(wanted, 1);
  if (!(raw > 0) || !std::isfinite(raw)) return {{low}, 2};
  const double power = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw * 0.999) {
      step = factor * power;
      break;
    }
  }
  ticks.decimals = std::clamp(static_cast<int>(-std::floor(std::log10(step) + 1e-9)), 0, 9);
  for (double index = std::ceil(low / step - 1e-9); index * step <= high + step * 1e-9; ++index) {
    ticks.at.push_back(index * step);
    if (ticks.at.size() > 50) break;  // low and high differ by less than the precision of double
  }
  if (ticks.at.empty()) ticks.at.push_back(low);
  return ticks;
}

void Range::add(double value) {
  if (!std::isfinite(value) || std::fabs(value) > 1e200) return;
  low_ = std::min(low_, value);
  high_ = std::max(high_, value);
}

std::pair<double, double> Range::padded(double share) const {
  if (empty()) return {0, 1};
  double width = high_ - low_;
  const double size = std::max(std::fabs(low_), std::fabs(high_));
  if (width <= 1e-9 * size || width == 0) {
    width = size > 0 ? size : 1;
    return {low_ - width / 2, high_ + width / 2};
  }
  return {low_ - share * width, high_ + share * width};
}

}  // namespace alm::report
