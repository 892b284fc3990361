#include "launch/options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "kernels/base/check.h"

namespace alm {
namespace {

CommandSpec sample_command() {
  CommandSpec spec;
  spec.name = "sample";
  spec.summary = "a command of the tests";
  spec.options = {
      {.name = "log", .help = "Log files.", .several = true},
      {.name = "out", .help = "Where to."},
      {.name = "level", .default_text = "B", .help = "Kind of world.", .choices = {"A", "B"}},
      {.name = "rows-per-file",
       .type = OptionType::integer,
       .default_text = "1000",
       .help = "Rows.",
       .lowest = 1,
       .highest = 1e9},
      {.name = "direct",
       .type = OptionType::real,
       .default_text = "0.5",
       .help = "Strength.",
       .lowest = -1,
       .highest = 1},
      {.name = "feedback", .type = OptionType::flag, .default_text = "false", .help = "Whether."},
  };
  return spec;
}

Options parse(const std::vector<std::string>& arguments) {
  return parse_options(sample_command(), arguments);
}

std::string refusal(const std::vector<std::string>& arguments,
                    const CommandSpec& spec = sample_command()) {
  try {
    parse_options(spec, arguments);
  } catch (const UserError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "not refused";
  return "";
}

class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Environment() { unsetenv(name_); }

 private:
  const char* name_;
};

// An options file that lives as long as the object.
class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text)
      : path_(testing::TempDir() + "alm_options_" + std::to_string(getpid()) + ".ini") {
    std::ofstream(path_) << text;
  }
  ~ConfigFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Options, DefaultsHoldWhenNothingIsGiven) {
  const Options options = parse({});
  EXPECT_EQ(options.integer("rows-per-file"), 1000);
  EXPECT_EQ(options.real("direct"), 0.5);
  EXPECT_FALSE(options.flag("feedback"));
  EXPECT_EQ(options.text("out"), "");
  EXPECT_TRUE(options.texts("log").empty());
  EXPECT_FALSE(options.given("direct"));
  EXPECT_EQ(options.integer("threads"), 0);
  EXPECT_FALSE(options.flag("quiet"));
}

TEST(Options, CommandLineBeatsEnvironmentBeatsFileBeatsDefault) {
  const ConfigFile file("rows-per-file = 30\ndirect = 0.3\nlevel = A\n");
  const Environment rows("ALM_ROWS_PER_FILE", "20");
  const Environment direct("ALM_DIRECT", "0.2");
  const Options options = parse({"--config", file.path(), "--rows-per-file", "10"});
  EXPECT_EQ(options.integer("rows-per-file"), 10);
  EXPECT_EQ(options.real("direct"), 0.2);
  EXPECT_EQ(options.text("level"), "A");
  const io::Json json = options.to_json();
  EXPECT_EQ(json["rows-per-file"]["from"], "command line");
  EXPECT_EQ(json["direct"]["from"], "environment");
  EXPECT_EQ(json["level"]["from"], "file");
  EXPECT_EQ(json["feedback"]["from"], "default");
  EXPECT_EQ(json["rows-per-file"]["value"], 10);
}

TEST(Options, ConfigFileCanBeNamedByTheEnvironment) {
  const ConfigFile file("# a comment\nfeedback = true\nlog = a.h5 b.h5\n");
  const Environment config("ALM_CONFIG", file.path().c_str());
  const Options options = parse({});
  EXPECT_TRUE(options.flag("feedback"));
  EXPECT_EQ(options.texts("log"), (std::vector<std::string>{"a.h5", "b.h5"}));
}

TEST(Options, SeveralValuesComeFromOneOptionOrFromRepeats) {
  EXPECT_EQ(parse({"--log", "a", "b", "--out", "o", "--log", "c"}).texts("log"),
            (std::vector<std::string>{"a", "b", "c"}));
  const Environment log("ALM_LOG", "x  y");
  EXPECT_EQ(parse({}).texts("log"), (std::vector<std::string>{"x", "y"}));
}

TEST(Options, ValuesMayBeNegativeAdjacentOrInScientificForm) {
  EXPECT_EQ(parse({"--direct", "-0.25"}).real("direct"), -0.25);
  EXPECT_EQ(parse({"--direct=-1"}).real("direct"), -1);
  EXPECT_EQ(parse({"--rows-per-file", "3e5"}).integer("rows-per-file"), 300000);
  EXPECT_TRUE(parse({"--feedback"}).flag("feedback"));
  EXPECT_FALSE(parse({"--feedback=false"}).flag("feedback"));
}

TEST(Options, UnknownNamesAreRefusedWithTheNearestOne) {
  EXPECT_NE(refusal({"--feedbak"}).find("--feedback"), std::string::npos);
  EXPECT_NE(refusal({"--rows", "5"}).find("--rows-per-file"), std::string::npos);
  EXPECT_NE(refusal({"--treads", "5"}).find("--threads"), std::string::npos);
  EXPECT_NE(refusal({"--xyzzy", "5"}).find("alm sample --help"), std::string::npos);
  const ConfigFile file("levle = A\n");
  const std::string message = refusal({"--config", file.path()});
  EXPECT_NE(message.find(file.path()), std::string::npos);
  EXPECT_NE(message.find("--level"), std::string::npos);
}

TEST(Options, ARefusedChoiceSaysWhyItIsNone) {
  EXPECT_EQ(refusal({"--level", "C"}), "--level C (command line): wanted A or B");
  CommandSpec spec = sample_command();
  spec.options[2].why_these = "there is no third";
  EXPECT_EQ(refusal({"--level", "C"}, spec),
            "--level C (command line): wanted A or B: there is no third");
}

TEST(Options, MalformedAndOutOfBoundsValuesAreRefused) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--rows-per-file", "ten"},
                                             {"--rows-per-file", "0"},
                                             {"--rows-per-file", "1.5"},
                                             {"--rows-per-file", "99999999999999999999"},
                                             {"--rows-per-file", ""},
                                             {"--rows-per-file"},
                                             {"--direct", "nan"},
                                             {"--direct", "1e999"},
                                             {"--direct", "2"},
                                             {"--direct", "0.5x"},
                                             {"--level", "C"},
                                             {"--feedback=maybe"},
                                             {"--out", "a", "b"},
                                             {"--out", "a", "--out", "b"},
                                             {"stray"},
                                             {"--config", "no-such-file.ini"},
                                             {"--"}}) {
    if (arguments[0] == "--") continue;  // the end mark of options alone is harmless
    EXPECT_FALSE(refusal(arguments).empty()) << arguments[0];
  }
  const Environment rows("ALM_ROWS_PER_FILE", "ten");
  EXPECT_NE(refusal({}).find("environment"), std::string::npos);
}

TEST(Options, BoundsAreToldAsPeopleWriteNumbers) {
  EXPECT_EQ(refusal({"--rows-per-file", "0"}),
            "--rows-per-file 0 (command line): wanted a whole number, 1 to 1,000,000,000");
  EXPECT_EQ(refusal({"--direct", "much"}),
            "--direct much (command line): wanted a number, -1 to 1");
  CommandSpec spec = sample_command();
  spec.options[3].highest = 9e15;
  spec.options[4].lowest = 1e-6;
  spec.options[4].highest = 1e308;
  EXPECT_NE(refusal({"--rows-per-file", "0"}, spec).find("1 to 9e15"), std::string::npos);
  EXPECT_NE(refusal({"--direct", "0"}, spec).find("at least 1e-6"), std::string::npos);
}

TEST(Options, ADashTooFewIsAnUnknownOption) {
  EXPECT_NE(refusal({"-out", "x"}).find("did you mean --out?"), std::string::npos);
}

TEST(Options, MissingRequiredOptionIsRefusedUnlessHelpIsWanted) {
  CommandSpec spec = sample_command();
  spec.options[1].required = true;
  EXPECT_NE(refusal({}, spec).find("--out"), std::string::npos);
  EXPECT_TRUE(parse_options(spec, {"--help"}).flag("help"));
  EXPECT_EQ(parse_options(spec, {"--out", "x"}).text("out"), "x");
}

TEST(Options, FirstWordFillsTheSubjectOfACommandThatHasOne) {
  CommandSpec spec = sample_command();
  spec.subject = "level";
  EXPECT_EQ(parse_options(spec, {"A", "--rows-per-file", "7"}).text("level"), "A");
  EXPECT_EQ(parse_options(spec, {"--level", "A"}).text("level"), "A");
  EXPECT_EQ(parse_options(spec, {}).text("level"), "B");
  EXPECT_NE(refusal({"C"}, spec).find("A or B"), std::string::npos);
  EXPECT_NE(refusal({"A", "--level", "B"}, spec).find("twice"), std::string::npos);
  EXPECT_NE(refusal({"--rows-per-file", "7", "A"}, spec).find("unexpected"), std::string::npos);
  EXPECT_NE(refusal({"A"}).find("unexpected"), std::string::npos);
}

TEST(Options, AskingForANameOutsideTheTableIsABug) {
  EXPECT_THROW(parse({}).text("nonsense"), BugError);
}

TEST(Options, HelpAndPageNameEveryOption) {
  const CommandSpec spec = sample_command();
  const std::string help = help_text(spec);
  const std::string page = options_page({spec});
  for (const OptionSpec& option : spec.options) {
    EXPECT_NE(help.find("--" + option.name), std::string::npos) << option.name;
    EXPECT_NE(page.find("`--" + option.name + "`"), std::string::npos) << option.name;
  }
  for (const char* common : {"--help", "--config", "--quiet", "--threads"}) {
    EXPECT_NE(help.find(common), std::string::npos) << common;
    EXPECT_NE(page.find(common), std::string::npos) << common;
  }
}

TEST(NearestName, GuessesBeginningsAndMisspellingsOnly) {
  const std::vector<std::string> names = {"train", "evaluate", "attribute"};
  EXPECT_EQ(nearest_name("trian", names), "train");
  EXPECT_EQ(nearest_name("attr", names), "attribute");
  EXPECT_EQ(nearest_name("qqqqq", names), "");
  EXPECT_EQ(nearest_name("", names), "");
}

}  // namespace
}  // namespace alm
