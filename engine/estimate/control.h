// Negative controls (method 7.4): what they are called, and where their results stand.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "engine/model/bundle.h"
#include "io/journeys.h"
#include "io/json.h"

namespace alm {

// Each takes fits of its own. The first three: the same estimates from a log in which there is
// nothing to find. The others, of proxy mode: the same scores from fits that differ in one choice.
enum class Control {
  shuffled_mediator,   // mediators move between touches of one cluster and stratum of X
  shuffled_treatment,  // touches with their mediators (arm logs: arms) between journeys of a
                       // stratum
  future_touches,      // a journey has the touches of the user's next one
  dropped_proxy,       // without one of the proxies that the code reads, each in turn
  adversary_weight,    // by other weights of the adversary
};
inline constexpr std::array kControls{Control::shuffled_mediator, Control::shuffled_treatment,
                                      Control::future_touches, Control::dropped_proxy,
                                      Control::adversary_weight};

const char* control_name(Control control);
bool is_of_proxy_mode(Control control);
// none, all (those of the mode), or names with commas between. UserError for anything else, and for
// one of the other mode.
std::vector<Control> controls_by_name(const std::string& text, bool proxy_mode);

// Why this control cannot be made of such a log; empty where it can.
std::string why_no_control(Control control, const ModelOptions& options,
                           const io::LogSchema& schema);

// Whether Bundle::controls holds the result of this one.
bool has_control(const io::Json& controls, const std::string& control);

// `negative_controls` of `identification`: these and what the estimates put there themselves. A
// null with its reason where there is none, and a
// warning for every one that failed. `same_log`: the estimates are of the log the fits were made
// of.
void put_controls(const io::Json& controls, bool same_log, io::Json& identification);

}  // namespace alm
