#include "launch/environment.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "tests/source_dir.h"

namespace alm {
namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

TEST(Environment, AVariableThatNothingReadsIsNamedWithTheNearestThatIsRead) {
  EXPECT_EQ(
      warnings_of_variables({"PATH=/bin", "ALM_TREADS=2"}),
      Lines{
          "the environment variable ALM_TREADS is ignored, nothing reads one of that name; did you "
          "mean ALM_THREADS?"});
  EXPECT_EQ(warnings_of_variables({"ALM_XYZZY=1"}),
            Lines{"the environment variable ALM_XYZZY is ignored, nothing reads one of that name"});
  EXPECT_EQ(warnings_of_variables({"ALM_LGO=a", "ALM_BACTH=b"}).size(), 2u);
}

TEST(Environment, WhatAnySubcommandReadsIsNotWarnedOf) {
  EXPECT_EQ(warnings_of_variables({"ALM_LOG=x", "ALM_ROWS_PER_FILE=5", "ALM_BATCH=64",
                                   "ALM_CONFIG=f", "ALM_THREADS=2", "ALM_DEADLINE=3"}),
            Lines{});
}

TEST(Environment, NorIsWhatHasNoValueOrAnotherPrefix) {
  EXPECT_EQ(warnings_of_variables({"ALM_TREADS=", "ALM=1", "BALM_TREADS=1", "alm_treads=1"}),
            Lines{});
}

// What scripts and tests read of the environment is found in them.
TEST(Environment, VariablesOfScriptsAreThoseThatScriptsAndTestsRead) {
  const std::regex read(R"re((?:\$\{?|environ\.get\("|(?:get|set)env\(")(ALM_[A-Z_]+))re");
  std::set<std::string> found;
  const auto look_into = [&](const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    const std::string all = text.str();
    for (std::sregex_iterator at(all.begin(), all.end(), read), end; at != end; ++at) {
      if (warnings_of_variables({(*at)[1].str() + "=1"}).empty()) found.insert((*at)[1]);
      EXPECT_EQ(warnings_of_variables({(*at)[1].str() + "=1"}), Lines{}) << path;
    }
  };
  look_into(source_dir() + "/.ci/run");
  for (const char* folder : {"launch", "tests"}) {
    for (const fs::directory_entry& file :
         fs::recursive_directory_iterator(source_dir() + "/" + folder)) {
      const std::string kind = file.path().extension();
      if (kind == ".sh" || kind == ".sbatch" || kind == ".py" || kind == ".cc" || kind == ".h") {
        look_into(file.path());
      }
    }
  }
  for (const std::string& name : variables_of_scripts()) {
    EXPECT_EQ(found.count(name), 1u) << name << " is read by no script and no test";
  }
}

}  // namespace
}  // namespace alm
