// Pages made of the table of options: --help and docs/options.md.
#include "kernels/base/text.h"
#include "launch/option_table.h"
#include "launch/options.h"

namespace alm {
namespace {

constexpr size_t kWidth = 96;       // columns of --help
constexpr size_t kHelpColumn = 30;  // where the sentences start

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

}  // namespace

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
