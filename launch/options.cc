// The only file that knows Boost.Program_options: it splits command lines and INI files into names
// and values; what the values mean is decided here, in one place for all sources.
#include "launch/options.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <boost/version.hpp>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <map>

#include "kernels/base/check.h"
#include "kernels/base/text.h"
#include "launch/option_table.h"

namespace alm {
namespace {

namespace po = boost::program_options;

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

}  // namespace alm
