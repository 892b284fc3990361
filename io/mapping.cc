#include "io/mapping.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

using enum FieldKind;
using enum WhenMissing;

constexpr std::array kKeys = {
    MappingKey{"user", "/journey/user", label, bad_row, false},
    MappingKey{"journey", "", key, bad_row, false},
    MappingKey{"time", "/journey/time", time, bad_row, false},
    MappingKey{"outcome", "/journey/outcome", outcome, bad_row, false},
    MappingKey{"outcome_time", "/journey/outcome_time", time, unknown, false},
    MappingKey{"weight", "/journey/weight", number, bad_row, false},
    MappingKey{"dense", "/journey/dense", number, unknown, true},
    MappingKey{"cat", "/journey/cat", label, unknown, true},
    MappingKey{"cluster", "/touch/cluster", cluster, bad_row, false},
    MappingKey{"item", "/touch/item", label, bad_row, false},
    MappingKey{"touch_time", "/touch/time", time, bad_row, false},
    MappingKey{"touch_dense", "/touch/dense", number, unknown, true},
    MappingKey{"touch_cat", "/touch/cat", label, unknown, true},
    MappingKey{"mediator", "/touch/mediator", binary, unknown, false},
    MappingKey{"mediator_time", "/touch/mediator_time", time, unknown, false},
    MappingKey{"proxy", "/touch/proxy", binary, unknown, true},
    MappingKey{"match", "/touch/match", number, unknown, false},
    MappingKey{"propensity", "/touch/propensity", number, unknown, false},
    MappingKey{"randomised", "/touch/randomised", binary, bad_row, false},
};

constexpr std::array kFileKeys = {"form",         "separator",     "time_unit",
                                  "outcome_kind", "reference_arm", "proxy_leaky"};
constexpr std::array kWindowKeys = {"lookback", "outcome", "every", "end"};
constexpr int64_t kMostWindows = 1000;  // that one touch may lie before

std::string trim(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == text.npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::vector<std::string> list(const std::string& text) {
  std::vector<std::string> parts = split(text, ',');
  for (std::string& part : parts) part = trim(part);
  return parts;
}

// Reads one mapping; knows where it is for its complaints.
class MappingParser {
 public:
  explicit MappingParser(const std::string& name) { mapping_.name = name; }

  Mapping parse(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      ++line_;
      line = trim(line);
      if (line.empty() || line[0] == '#' || line[0] == ';') continue;
      if (line[0] == '[') {
        enter(line);
      } else {
        take(line);
      }
    }
    check_whole();
    return std::move(mapping_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(format("%s, line %lld: %s", mapping_.name.c_str(),
                           static_cast<long long>(line_), what.c_str()));
  }
  [[noreturn]] void fail_whole(const std::string& what) const {
    throw UserError(mapping_.name + ": " + what);
  }

  void enter(const std::string& line) {
    section_ = line;
    for (const char* known : {"[file]", "[columns]", "[window]", "[missing]", "[clusters]"}) {
      if (line == known) return;
    }
    fail(line + " is no section: there are [file], [columns], [window], [missing] and [clusters]");
  }

  void take(const std::string& line) {
    const size_t equals = line.find('=');
    if (equals == line.npos) fail("'" + line + "' is not of the form key = value");
    const std::string name = trim(line.substr(0, equals));
    const std::string value = trim(line.substr(equals + 1));
    if (section_.empty()) fail("'" + name + "' stands before any section");
    if (section_ == "[missing]") {
      for (std::string& text : list(value)) mapping_.missing[name].push_back(std::move(text));
      return;
    }
    if (value.empty()) fail("'" + name + "' has no value");
    if (section_ == "[file]") take_file(name, value);
    if (section_ == "[columns]") take_column(name, value);
    if (section_ == "[window]") take_window(name, value);
    if (section_ == "[clusters]" && !mapping_.clusters.emplace(name, value).second) {
      fail("'" + name + "' is given twice");
    }
  }

  template <class Value>
  Value choose(const std::string& name, const std::string& value,
               std::initializer_list<std::pair<const char*, Value>> choices) const {
    std::vector<std::string> known;
    for (const auto& [text, result] : choices) {
      if (value == text) return result;
      known.push_back(text);
    }
    fail(name + " is '" + value + "', not " + join(known, " or "));
  }

  void take_file(const std::string& name, const std::string& value) {
    if (std::find(kFileKeys.begin(), kFileKeys.end(), name) == kFileKeys.end()) {
      fail("'" + name + "' is no key of [file]: there are " +
           join({kFileKeys.begin(), kFileKeys.end()}, ", "));
    }
    if (!seen_.insert({name, line_}).second) fail("'" + name + "' is given twice");
    if (name == "form") {
      mapping_.form = choose<RowForm>(
          name, value,
          {{"journey", RowForm::journey}, {"touch", RowForm::touch}, {"event", RowForm::event}});
    } else if (name == "separator") {
      if (value != "tab" && value.size() != 1) fail("separator is one character, or the word tab");
      if (value == "\"") fail("separator cannot be a quote");
      mapping_.separator = value == "tab" ? '\t' : value[0];
    } else if (name == "time_unit") {
      mapping_.time_unit_given = true;
      mapping_.time_unit = choose<TimeUnit>(name, value,
                                            {{"s", TimeUnit::seconds},
                                             {"ms", TimeUnit::milliseconds},
                                             {"us", TimeUnit::microseconds}});
    } else if (name == "outcome_kind") {
      mapping_.outcome_kind = choose<OutcomeKind>(
          name, value, {{"binary", OutcomeKind::binary}, {"continuous", OutcomeKind::continuous}});
    } else if (name == "reference_arm") {
      mapping_.reference_arm = value;
    } else {
      mapping_.leaky = list(value);
    }
  }

  void take_window(const std::string& name, const std::string& value) {
    if (std::find(kWindowKeys.begin(), kWindowKeys.end(), name) == kWindowKeys.end()) {
      fail("'" + name + "' is no key of [window]: there are " +
           join({kWindowKeys.begin(), kWindowKeys.end()}, ", "));
    }
    if (!seen_.insert({"window " + name, line_}).second) fail("'" + name + "' is given twice");
    if (!mapping_.window) mapping_.window.emplace();
    WindowRule& window = *mapping_.window;
    if (name == "end") {
      window_end_ = {value, line_};
      return;
    }
    const std::optional<int64_t> length = parse_duration(value);
    if (!length) fail(name + " is '" + value + "', not a length of time such as 7d, 12h, 15m, 90s");
    (name == "lookback"  ? window.lookback
     : name == "outcome" ? window.outcome
                         : window.every) = *length;
  }

  void take_column(const std::string& name, const std::string& value) {
    const auto found = std::find_if(kKeys.begin(), kKeys.end(),
                                    [&](const MappingKey& known) { return name == known.name; });
    if (found == kKeys.end()) {
      std::vector<std::string> known;
      for (const MappingKey& each : kKeys) known.push_back(each.name);
      fail("'" + name + "' is no key of [columns]: there are " + join(known, ", "));
    }
    std::vector<std::string> columns =
        found->several ? list(value) : std::vector<std::string>{value};
    if (std::find(columns.begin(), columns.end(), "") != columns.end()) {
      fail("'" + name + "' lists an empty name");
    }
    if (!mapping_.columns.emplace(name, std::move(columns)).second) {
      fail("'" + name + "' is given twice");
    }
  }

  void check_whole() {
    if (seen_.count("form") == 0) {
      fail_whole("form is missing: say form = journey or form = touch in [file]");
    }
    for (const char* name : {"outcome", "cluster"}) {
      if (!mapping_.has(name)) fail_whole(format("[columns] lacks %s", name));
    }
    if (mapping_.form == RowForm::journey) {
      if (mapping_.has("journey")) {
        fail_whole("journey belongs to form = touch: in form = journey every row is one");
      }
      if (mapping_.reference_arm.empty()) {
        fail_whole("form = journey makes an arm log and needs reference_arm in [file]");
      }
    } else if (!mapping_.reference_arm.empty()) {
      fail_whole("reference_arm belongs to form = journey: an arm log has one touch a journey");
    }
    if (mapping_.form == RowForm::touch && !mapping_.has("user") && !mapping_.has("journey")) {
      fail_whole(
          "form = touch needs user or journey in [columns], to know which rows belong together");
    }
    check_window();
    for (const auto& [name, texts] : mapping_.missing) {
      if (name != "*" && !is_mapped(name)) {
        fail_whole("[missing] names the column '" + name + "', which [columns] does not use");
      }
    }
    const auto proxies = mapping_.columns.find("proxy");
    for (const std::string& name : mapping_.leaky) {
      if (proxies == mapping_.columns.end() ||
          std::find(proxies->second.begin(), proxies->second.end(), name) ==
              proxies->second.end()) {
        fail_whole("proxy_leaky names '" + name + "', which is not in proxy");
      }
    }
  }

  void check_window() {
    if (mapping_.form != RowForm::event) {
      if (mapping_.window) fail_whole("[window] belongs to form = event");
      return;
    }
    for (const char* name : {"user", "touch_time"}) {
      if (!mapping_.has(name)) fail_whole(format("form = event needs %s in [columns]", name));
    }
    for (const char* name : {"journey", "time", "outcome_time"}) {
      if (mapping_.has(name)) {
        fail_whole(format("%s does not go with form = event: [window] makes it", name));
      }
    }
    WindowRule& window = mapping_.window ? *mapping_.window : mapping_.window.emplace();
    if (window.lookback == 0 || window.outcome == 0) {
      fail_whole("form = event needs lookback and outcome in [window], such as lookback = 7d");
    }
    if (window.every == 0) window.every = window.outcome;
    if (window.lookback < window.every || window.lookback / window.every > kMostWindows) {
      fail_whole(
          format("lookback must be 1 to %lld times every (without it: outcome), so that "
                 "each touch lies before some window and before few",
                 static_cast<long long>(kMostWindows)));
    }
    if (window_end_.first.empty()) return;
    window.end = parse_time(window_end_.first, mapping_.time_unit);
    constexpr int64_t kLargest = int64_t{1} << 60;
    if (!window.end || *window.end > kLargest || *window.end < -kLargest) {
      line_ = window_end_.second;
      fail("end is '" + window_end_.first + "', not a time such as 2024-05-31");
    }
  }

  bool is_mapped(const std::string& column) const {
    return std::any_of(mapping_.columns.begin(), mapping_.columns.end(), [&](const auto& entry) {
      return std::find(entry.second.begin(), entry.second.end(), column) != entry.second.end();
    });
  }

  Mapping mapping_;
  std::string section_;
  std::map<std::string, int64_t> seen_;         // keys of [file] and their lines
  std::pair<std::string, int64_t> window_end_;  // its text and line: the unit may come later
  int64_t line_ = 0;
};

}  // namespace

std::string_view Mapping::cluster_of(std::string_view text) const {
  if (cluster_table) text = cluster_table->cluster_of(text);
  const auto renamed = clusters.find(text);
  return renamed == clusters.end() ? text : std::string_view(renamed->second);
}

std::span<const MappingKey> mapping_keys() {
  return kKeys;
}
std::span<const char* const> mapping_file_keys() {
  return kFileKeys;
}
std::span<const char* const> mapping_window_keys() {
  return kWindowKeys;
}

Mapping parse_mapping(const std::string& text, const std::string& name) {
  return MappingParser(name).parse(text);
}

Mapping read_mapping(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file) throw UserError(path + ": the mapping file cannot be read");
  std::string content = text.str();
  if (content.starts_with("\xEF\xBB\xBF")) content.erase(0, 3);  // byte order mark
  return parse_mapping(content, path);
}

}  // namespace alm::io
