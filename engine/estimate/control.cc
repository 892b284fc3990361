#include "engine/estimate/control.h"

#include <algorithm>

#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm {

const char* control_name(Control control) {
  switch (control) {
    case Control::shuffled_mediator:
      return "shuffled_mediator";
    case Control::shuffled_treatment:
      return "shuffled_treatment";
    case Control::future_touches:
      return "future_touches";
    case Control::dropped_proxy:
      return "dropped_proxy";
    case Control::adversary_weight:
      return "adversary_weight";
  }
  return "";
}

bool is_of_proxy_mode(Control control) {
  return control == Control::dropped_proxy || control == Control::adversary_weight;
}

std::vector<Control> controls_by_name(const std::string& text, bool proxy_mode) {
  if (text == "none") return {};
  std::vector<Control> of_mode;
  std::vector<std::string> names;
  for (const Control control : kControls) {
    if (is_of_proxy_mode(control) != proxy_mode) continue;
    of_mode.push_back(control);
    names.push_back(control_name(control));
  }
  if (text == "all") return of_mode;
  std::vector<Control> controls;
  for (const std::string& name : split(text, ',')) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      throw UserError("--controls '" + name + "' is none of --mediator " +
                      (proxy_mode ? "proxy" : "observed") + ": none, all, " + join(names, ", "));
    }
    const Control control = of_mode[static_cast<size_t>(found - names.begin())];
    if (std::find(controls.begin(), controls.end(), control) == controls.end()) {
      controls.push_back(control);
    }
  }
  return controls;
}

std::string why_no_control(Control control, const ModelOptions& options,
                           const io::LogSchema& schema) {
  if (control == Control::dropped_proxy) {
    const int64_t read = proxies_read(options, schema.proxies, schema.proxy_leaky);
    if (read < 2) return read == 0 ? "the code reads no proxies" : "the code reads one proxy alone";
  }
  if (control != Control::future_touches) return "";
  if (schema.is_arm_log()) return "a journey of an arm log has one arm and no touches to come";
  if (!schema.time) return "the log has no /journey/time: which journey is the next is not known";
  return "";
}

bool has_control(const io::Json& controls, const std::string& control) {
  return std::any_of(controls.begin(), controls.end(),
                     [&](const io::Json& made) { return made.at("control") == control; });
}

void put_controls(const io::Json& controls, bool same_log, io::Json& identification) {
  io::Json all = io::Json::array();
  if (same_log) all = controls;
  const io::Json before = identification.value("negative_controls", io::Json());
  for (const io::Json& made : before) {  // made by the estimates themselves, or by a call before
    if (!has_control(all, made.at("control").get<std::string>())) all.push_back(made);
  }
  io::Json& warnings = identification["warnings"];
  for (const io::Json& made : all) {
    if (made.at("verdict") != "fail") continue;
    const std::string warning =
        "negative control failed: " + made.at("sentence").get<std::string>();
    if (std::find(warnings.begin(), warnings.end(), warning) == warnings.end()) {
      warnings.push_back(warning);
    }
  }
  identification["negative_controls"] = nullptr;
  identification.erase("negative_controls_why");
  if (!all.empty()) {
    identification["negative_controls"] = all;
  } else if (same_log) {
    identification["negative_controls_why"] =
        "not asked for: alm train --controls all makes them, also of a finished run with --resume";
  } else {
    identification["negative_controls_why"] = "made on the log the run was trained on alone";
  }
}

}  // namespace alm
