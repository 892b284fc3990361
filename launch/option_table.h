// What the rows of a table of options mean, for the parser and for the pages made of it: the
// options that all subcommands have, values as they are typed, and their bounds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/options.h"

namespace alm {

std::vector<OptionSpec> common_options();
// The options of the command, then those.
std::vector<OptionSpec> whole_table(const CommandSpec& command);

// nullopt: no value of that type.
std::optional<double> parse_real(const std::string& text);
// "300000" and "3e5" alike.
std::optional<int64_t> parse_integer(const std::string& text);
std::optional<bool> parse_flag(const std::string& text);
// Throws unless `text` is a value of the option. `source` names where it was given.
void check_value(const OptionSpec& option, const std::string& text, const std::string& source);

// "0 to 1e15", "at least 1", ... or "".
std::string bounds_text(const OptionSpec& option);
// What stands between spaces.
std::vector<std::string> words(const std::string& text);

}  // namespace alm
