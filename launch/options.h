// One table of options makes the parser, --help, docs/options.md and the resolved configuration.
// Strength: command line, environment (ALM_<OPTION>), --config file (INI), default.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/json.h"
#include "kernels/base/nearest_name.h"

namespace alm {

enum class OptionType { text, integer, real, flag };

// One row of the table. Names are long options without dashes: "rows-per-file".
struct OptionSpec {
  std::string name;
  OptionType type = OptionType::text;
  std::string default_text{};          // as typed; flags: "false"
  std::string help{};                  // one sentence
  std::vector<std::string> choices{};  // text: allowed values; empty: any
  std::string why_these{};             // choices: told with the refusal of any other value
  double lowest = -1e308;              // numbers: inclusive bounds
  double highest = 1e308;
  bool required = false;
  bool several = false;  // text: takes one or more values
};

struct CommandSpec {
  std::string name;
  std::string summary;              // one line of `alm --help`
  std::string details;              // paragraph of `alm NAME --help`
  std::vector<OptionSpec> options;  // without --help, --config, --quiet, --threads which all have
  std::string subject{};  // option that a first word without dashes fills: "alm bench train"
};

// Parsed options of one subcommand; asking for a name not in the table is a bug.
class Options {
 public:
  const std::string& text(const std::string& name) const;
  const std::vector<std::string>& texts(const std::string& name) const;
  int64_t integer(const std::string& name) const;
  double real(const std::string& name) const;
  bool flag(const std::string& name) const;
  // True when given anywhere (command line, environment, file), false when it is the default.
  bool given(const std::string& name) const;
  // All options with their values and where each came from.
  io::Json to_json() const;

  struct Value {
    OptionSpec spec;
    std::vector<std::string> values;
    std::string source;  // "command line", "environment", "file" or "default"
  };
  std::vector<Value> values;
};

// With --help among the arguments required options may be missing: look at flag("help") first.
// UserError with the nearest known name when an option is unknown, a value is malformed or out of
// bounds.
Options parse_options(const CommandSpec& command, const std::vector<std::string>& arguments);
// Variables of the environment that parse_options() reads: "ALM_ROWS_PER_FILE".
std::vector<std::string> environment_names(const CommandSpec& command);
std::string help_text(const CommandSpec& command);
// Name and version of the parsing library: "Boost 1_74".
std::string options_library();
// docs/options.md, whole.
std::string options_page(const std::vector<CommandSpec>& commands);

}  // namespace alm
