// A --config file and a command line.
#include "launch/options.h"

#include "kernels/base/text.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

namespace alm::fuzz {

namespace {

CommandSpec spec() {
  return {
      .name = "command",
      .summary = "a command",
      .details = "Details.",
      .options = {
          {.name = "log", .help = "Files.", .required = true, .several = true},
          {.name = "epochs",
           .type = OptionType::integer,
           .default_text = "1",
           .help = "Passes.",
           .lowest = 0,
           .highest = 1e9},
          {.name = "rate",
           .type = OptionType::real,
           .default_text = "0.5",
           .help = "A rate.",
           .lowest = 0,
           .highest = 1},
          {.name = "resume", .type = OptionType::flag, .default_text = "false", .help = "Goes on."},
          {.name = "codec",
           .default_text = "none",
           .help = "A codec.",
           .choices = {"none", "zstd"}}}};
}

}  // namespace

// The file, NUL, arguments separated by line ends.
void run_target(std::string_view input) {
  static const Scratch scratch;
  std::vector<std::string> arguments = {"--config", scratch.write("options.ini", take_part(input))};
  if (!input.empty()) {
    for (std::string& word : split(std::string(input), '\n')) arguments.push_back(std::move(word));
  }
  parse_options(spec(), arguments).to_json();
}

std::vector<std::string> seeds() {
  const std::string end(1, '\0');
  return {"# settings\nlog = a.h5\nepochs = 3\nrate=0.25\nresume = true\n" + end + "--codec\nzstd",
          "epochs = 1\n[section]\nx = 1\n" + end + "--log\na\nb\n--resume\n--rate=1e-3",
          "" + end + "--help"};
}

}  // namespace alm::fuzz
