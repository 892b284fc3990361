// The only file that knows Boost.Program_options: it splits command lines and INI files into names
// and values; what the values mean is decided here, in one place for all sources.
#include "launch/options.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <boost/version.hpp>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>

#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

namespace po = boost::program_options;

constexpr size_t kWidth = 96;       // columns of --help
constexpr size_t kHelpColumn = 30;  // where the sentences start

std::vector<OptionSpec> common_options() {
  return {
      {.name = "help",
       .type = OptionType::flag,
       .default_text = "false",
       .help = "Print this and end."},
      {.name = "config", .help = "INI file of options, one `name = value` a line."},
      {.name = "quiet",
       .type = OptionType::flag,
       .default_text = "false",
       .help = "Say nothing but results, warnings and errors."},
      {.name = "threads",
       .type = OptionType::integer,
       .default_text = "0",
       .help = "Threads per rank; 0: the cores this rank may use, shared with the ranks beside it.",
       .lowest = 0,
       .highest = 4096},
  };
}

std::vector<OptionSpec> whole_table(const CommandSpec& command) {
  std::vector<OptionSpec> table = command.options;
  for (OptionSpec& option : common_options()) table.push_back(std::move(option));
  return table;
}

std::string environment_name(const std::string& option) {
  std::string name = "ALM_";
  for (const char letter : option) {
    name +=
        letter == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  }
  return name;
}

[[noreturn]] void unknown_option(const CommandSpec& command, const std::string& name,
                                 const std::string& place) {
  std::vector<std::string> names;
  for (const OptionSpec& option : whole_table(command)) names.push_back(option.name);
  const std::string nearest = nearest_name(name, names);
  throw UserError(
      format("%sunknown option --%s of alm %s%s", place.c_str(), name.c_str(), command.name.c_str(),
             nearest.empty() ? format("; see alm %s --help", command.name.c_str()).c_str()
                             : format("; did you mean --%s?", nearest.c_str()).c_str()));
}

// 1,000,000 and 1e15 and 1e-6.
std::string as_typed(double value) {
  if (std::floor(value) == value && std::fabs(value) < 1e12) {
    return (value < 0 ? "-" : "") + with_commas(static_cast<int64_t>(std::fabs(value)));
  }
  std::string text = format("%g", value);
  const size_t exponent = text.find('e');
  if (exponent == text.npos) return text;
  const std::string sign = text[exponent + 1] == '-' ? "-" : "";
  text.replace(exponent + 1, text.find_first_not_of("+-0", exponent + 1) - exponent - 1, sign);
  return text;
}

std::string bounds_text(const OptionSpec& option) {
  const bool low = option.lowest > -1e300, high = option.highest < 1e300;
  if (low && high) return as_typed(option.lowest) + " to " + as_typed(option.highest);
  if (low) return "at least " + as_typed(option.lowest);
  return high ? "at most " + as_typed(option.highest) : "";
}

// What check_value() wants of a number: "a whole number, 0 to 1e15".
std::string wanted_number(const OptionSpec& option) {
  const std::string bounds = bounds_text(option);
  return (option.type == OptionType::integer ? "a whole number" : "a number") +
         (bounds.empty() ? "" : ", " + bounds);
}

std::optional<double> parse_real(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (text.empty() || result.ec != std::errc() || result.ptr != end || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

// "300000" and "3e5" alike.
std::optional<int64_t> parse_integer(const std::string& text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (!text.empty() && result.ec == std::errc() && result.ptr == end) return value;
  const auto real = parse_real(text);
  if (!real || std::floor(*real) != *real || std::fabs(*real) > 0x1p53) return std::nullopt;
  return static_cast<int64_t>(*real);
}

std::optional<bool> parse_flag(const std::string& text) {
  for (const char* word : {"true", "1", "yes", "on"}) {
    if (text == word) return true;
  }
  for (const char* word : {"false", "0", "no", "off"}) {
    if (text == word) return false;
  }
  return std::nullopt;
}

// Throws unless `text` is a value of the option. `source` names where it was given.
void check_value(const OptionSpec& option, const std::string& text, const std::string& source) {
  const auto refuse = [&](const std::string& wanted) {
    throw UserError(format("--%s %s (%s): wanted %s", option.name.c_str(), text.c_str(),
                           source.c_str(), wanted.c_str()));
  };
  const auto check_bounds = [&](double value) {
    if (value < option.lowest || value > option.highest) refuse(wanted_number(option));
  };
  switch (option.type) {
    case OptionType::text:
      if (!option.choices.empty() &&
          std::find(option.choices.begin(), option.choices.end(), text) == option.choices.end()) {
        refuse(join(option.choices, " or "));
      }
      return;
    case OptionType::integer: {
      const auto value = parse_integer(text);
      if (!value) refuse(wanted_number(option));
      check_bounds(static_cast<double>(*value));
      return;
    }
    case OptionType::real: {
      const auto value = parse_real(text);
      if (!value) refuse(wanted_number(option));
      check_bounds(*value);
      return;
    }
    case OptionType::flag:
      if (!parse_flag(text)) refuse("true or false");
      return;
  }
}

po::options_description boost_table(const CommandSpec& command) {
  po::options_description table;
  for (const OptionSpec& option : whole_table(command)) {
    auto* value = po::value<std::vector<std::string>>();
    if (option.type == OptionType::flag) value->implicit_value({"true"}, "true");
    if (option.several) value->multitoken();
    table.add_options()(option.name.c_str(), value);
  }
  return table;
}

using Given = std::map<std::string, std::vector<std::string>>;

// Throws when an option of one value has more.
void add_given(const CommandSpec& command, const po::option& parsed, const std::string& source,
               Given& given) {
  const std::vector<OptionSpec> table = whole_table(command);
  const auto spec = std::find_if(table.begin(), table.end(), [&](const OptionSpec& option) {
    return option.name == parsed.string_key;
  });
  ALM_CHECK(spec != table.end());
  std::vector<std::string>& values = given[parsed.string_key];
  if (!values.empty() && !spec->several) {
    throw UserError(format("--%s is given twice (%s)", parsed.string_key.c_str(), source.c_str()));
  }
  std::vector<std::string> tokens = parsed.value;
  if (tokens.empty() && spec->type == OptionType::flag) tokens = {"true"};
  values.insert(values.end(), tokens.begin(), tokens.end());
}

Given parse_command_line(const CommandSpec& command, std::vector<std::string> arguments) {
  const bool has_subject = !command.subject.empty() && !arguments.empty() &&
                           !arguments[0].empty() && arguments[0][0] != '-';
  if (has_subject) arguments[0] = "--" + command.subject + "=" + arguments[0];
  const po::options_description table = boost_table(command);
  Given given;
  try {
    // No short options, so that "--direct -0.1" is a value; no guessing, so that scripts keep
    // working when options are added.
    namespace style = po::command_line_style;
    const auto parsed =
        po::command_line_parser(arguments)
            .options(table)
            .style(style::allow_long | style::long_allow_adjacent | style::long_allow_next)
            .run();
    for (const po::option& option : parsed.options) {
      // "-out X": a dash too few, not a value (a number may begin so, but only where one is taken).
      const bool free_words = option.position_key >= 0 || option.value.size() > 1;
      for (const std::string& word : option.value) {
        if (free_words && word.size() > 1 && word[0] == '-') {
          unknown_option(command, word.substr(word.find_first_not_of('-')), "");
        }
      }
      if (option.position_key >= 0) {
        throw UserError(format("unexpected \"%s\": every value of alm %s follows its --option",
                               option.value.empty() ? "" : option.value[0].c_str(),
                               command.name.c_str()));
      }
      add_given(command, option, "command line", given);
    }
  } catch (const po::unknown_option& error) {
    std::string name = error.get_option_name();
    name.erase(0, name.find_first_not_of('-'));
    unknown_option(command, name, "");
  } catch (const po::error& error) {
    throw UserError(error.what());
  }
  return given;
}

std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> parts;
  for (std::string& part : split(text, ' ')) {
    if (!part.empty()) parts.push_back(std::move(part));
  }
  return parts;
}

bool may_come_from_environment(const OptionSpec& option) {
  return option.name != "help";
}

Given read_environment(const CommandSpec& command) {
  Given given;
  for (const OptionSpec& option : whole_table(command)) {
    if (!may_come_from_environment(option)) continue;
    const char* text = std::getenv(environment_name(option.name).c_str());
    if (text == nullptr || *text == '\0') continue;
    given[option.name] = option.several ? words(text) : std::vector<std::string>{text};
  }
  return given;
}

Given read_config_file(const CommandSpec& command, const std::string& path) {
  std::ifstream file(path);
  if (!file) throw UserError(format("%s: cannot read the options file", path.c_str()));
  Given given;
  try {
    const auto parsed = po::parse_config_file(file, boost_table(command));
    for (po::option option : parsed.options) {
      if (option.string_key == "config" || option.string_key == "help") {
        throw UserError(format("%s: --%s has no place in an options file", path.c_str(),
                               option.string_key.c_str()));
      }
      const auto& specs = command.options;
      const bool several = std::any_of(specs.begin(), specs.end(), [&](const OptionSpec& spec) {
        return spec.several && spec.name == option.string_key;
      });
      if (several && option.value.size() == 1) option.value = words(option.value[0]);
      add_given(command, option, path, given);
    }
  } catch (const po::unknown_option& error) {
    unknown_option(command, error.get_option_name(), path + ": ");
  } catch (const po::error& error) {
    throw UserError(path + ": " + error.what());
  }
  return given;
}

// "N", "X", "A|B", ...
std::string value_word(const OptionSpec& option) {
  if (option.type == OptionType::flag) return "";
  if (!option.choices.empty()) return join(option.choices, "|");
  if (option.type == OptionType::integer) return "N";
  if (option.type == OptionType::real) return "X";
  return option.several ? "TEXT..." : "TEXT";
}

// What stands after the sentence: bounds, default, duty.
std::string remark(const OptionSpec& option) {
  std::vector<std::string> parts;
  if (option.required) parts.push_back("required");
  const bool number = option.type == OptionType::integer || option.type == OptionType::real;
  if (number && !bounds_text(option).empty()) parts.push_back(bounds_text(option));
  if (option.type != OptionType::flag && !option.required && !option.default_text.empty()) {
    parts.push_back("default " + option.default_text);
  }
  return parts.empty() ? "" : " (" + join(parts, "; ") + ")";
}

// `text` broken at spaces; every line but the first begins with `indent` spaces.
std::string wrapped(const std::string& text, size_t column, size_t indent) {
  std::string lines;
  for (const std::string& paragraph : split(text, '\n')) {
    if (!lines.empty()) lines += "\n" + std::string(indent, ' '), column = indent;
    bool first = true;
    for (const std::string& word : words(paragraph)) {
      if (!first && column + 1 + word.size() > kWidth) {
        lines += "\n" + std::string(indent, ' ');
        column = indent;
        first = true;
      }
      if (!first) lines += ' ', ++column;
      lines += word;
      column += word.size();
      first = false;
    }
  }
  return lines;
}

std::string help_lines(const std::vector<OptionSpec>& options) {
  std::string text;
  for (const OptionSpec& option : options) {
    std::string head = "  --" + option.name;
    if (!value_word(option).empty()) head += " " + value_word(option);
    if (head.size() + 2 > kHelpColumn) {
      text += head + "\n" + std::string(kHelpColumn, ' ');
    } else {
      text += head + std::string(kHelpColumn - head.size(), ' ');
    }
    text += wrapped(option.help + remark(option), kHelpColumn, kHelpColumn) + "\n";
  }
  return text;
}

std::string markdown_cell(const std::string& text) {
  std::string cell;
  for (const char letter : text) {
    if (letter == '|') cell += '\\';
    cell += letter;
  }
  return cell;
}

std::string markdown_table(const std::vector<OptionSpec>& options) {
  std::string text = "| option | value | default | meaning |\n|---|---|---|---|\n";
  for (const OptionSpec& option : options) {
    std::string values = value_word(option);
    const std::string bounds = bounds_text(option);
    if (!bounds.empty()) values += ", " + bounds;
    const std::string fallback = option.required               ? "required"
                                 : option.default_text.empty() ? ""
                                                               : "`" + option.default_text + "`";
    text +=
        format("| `--%s` | %s | %s | %s |\n", option.name.c_str(), markdown_cell(values).c_str(),
               markdown_cell(fallback).c_str(), markdown_cell(option.help).c_str());
  }
  return text;
}

const Options::Value& find_value(const Options& options, const std::string& name) {
  for (const Options::Value& value : options.values) {
    if (value.spec.name == name) return value;
  }
  bug(__FILE__, __LINE__, "option exists", "%s", name.c_str());
}

}  // namespace

const std::string& Options::text(const std::string& name) const {
  const Value& value = find_value(*this, name);
  ALM_CHECK(value.values.size() == 1, "--%s has %zu values", name.c_str(), value.values.size());
  return value.values[0];
}

const std::vector<std::string>& Options::texts(const std::string& name) const {
  return find_value(*this, name).values;
}

int64_t Options::integer(const std::string& name) const {
  const auto value = parse_integer(text(name));
  ALM_CHECK(value.has_value(), "--%s", name.c_str());
  return *value;
}

double Options::real(const std::string& name) const {
  const auto value = parse_real(text(name));
  ALM_CHECK(value.has_value(), "--%s", name.c_str());
  return *value;
}

bool Options::flag(const std::string& name) const {
  const auto value = parse_flag(text(name));
  ALM_CHECK(value.has_value(), "--%s", name.c_str());
  return *value;
}

bool Options::given(const std::string& name) const {
  return find_value(*this, name).source != "default";
}

io::Json Options::to_json() const {
  io::Json json = io::Json::object();
  for (const Value& value : values) {
    const std::string& name = value.spec.name;
    if (name == "help") continue;
    io::Json typed;
    if (value.spec.several) {
      typed = value.values;
    } else if (value.spec.type == OptionType::integer) {
      typed = integer(name);
    } else if (value.spec.type == OptionType::real) {
      typed = real(name);
    } else if (value.spec.type == OptionType::flag) {
      typed = flag(name);
    } else {
      typed = text(name);
    }
    json[name] = {{"value", typed}, {"from", value.source}};
  }
  return json;
}

Options parse_options(const CommandSpec& command, const std::vector<std::string>& arguments) {
  const Given line = parse_command_line(command, arguments);
  const Given environment = read_environment(command);
  Given file;
  for (const Given* source : {&line, &environment}) {
    const auto config = source->find("config");
    if (config == source->end()) continue;
    file = read_config_file(command, config->second[0]);
    break;
  }
  Options options;
  for (const OptionSpec& option : whole_table(command)) {
    Options::Value value{option, {}, "default"};
    if (!option.several || !option.default_text.empty()) value.values = {option.default_text};
    const std::pair<const Given*, const char*> sources[] = {
        {&line, "command line"}, {&environment, "environment"}, {&file, "file"}};
    for (const auto& [given, name] : sources) {
      const auto found = given->find(option.name);
      if (found == given->end()) continue;
      for (const std::string& text : found->second) check_value(option, text, name);
      value.values = found->second;
      value.source = name;
      break;
    }
    options.values.push_back(std::move(value));
  }
  if (options.flag("help")) return options;  // nothing else is wanted of the user then
  for (const Options::Value& value : options.values) {
    if (value.spec.required && value.source == "default") {
      throw UserError(format("alm %s needs --%s: %s", command.name.c_str(), value.spec.name.c_str(),
                             value.spec.help.c_str()));
    }
  }
  return options;
}

std::vector<std::string> environment_names(const CommandSpec& command) {
  std::vector<std::string> names;
  for (const OptionSpec& option : whole_table(command)) {
    if (may_come_from_environment(option)) names.push_back(environment_name(option.name));
  }
  return names;
}

std::string options_library() {
  return std::string("Boost ") + BOOST_LIB_VERSION;
}

std::string help_text(const CommandSpec& command) {
  std::string usage = "usage: alm " + command.name;
  for (const OptionSpec& option : command.options) {
    if (!option.required) continue;
    usage +=
        (option.name == command.subject ? " " : " --" + option.name + " ") + value_word(option);
  }
  std::string text = format("alm %s: %s\n\n", command.name.c_str(), command.summary.c_str());
  if (!command.details.empty()) text += wrapped(command.details, 0, 0) + "\n\n";
  return text + wrapped(usage + " [options]", 0, 4) + "\n\noptions:\n" +
         help_lines(command.options) + "\noptions of every subcommand:\n" +
         help_lines(common_options()) +
         "\nAn option may also be the environment variable ALM_<OPTION> or stand in the file of "
         "--config;\n"
         "the command line is strongest, then the environment, the file, the default.\n";
}

std::string options_page(const std::vector<CommandSpec>& commands) {
  std::string text =
      "# Options\n\n"
      "Made from the table the program parses with (a test keeps it fresh). Every option can be "
      "given on\n"
      "the command line (`--rows-per-file 1000`), in the environment (`ALM_ROWS_PER_FILE=1000`; "
      "several\n"
      "values are split at spaces) or in the INI file of `--config` (`rows-per-file = 1000`). The "
      "command\n"
      "line is strongest, then the environment, the file, the default. Whole numbers may be typed "
      "as `3e5`.\n\n"
      "## Every subcommand\n\n" +
      markdown_table(common_options());
  for (const CommandSpec& command : commands) {
    text += format("\n## alm %s\n\n%s", command.name.c_str(), command.summary.c_str());
    if (!command.details.empty()) text += "\n\n" + command.details;
    text += "\n\n" + markdown_table(command.options);
  }
  return text;
}

}  // namespace alm
