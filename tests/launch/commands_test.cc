#include "launch/commands.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "kernels/base/text.h"
#include "kernels/gpu.h"
#include "launch/front_page.h"
#include "launch/threads.h"
#include "tests/source_dir.h"

namespace alm {
namespace {

TEST(Commands, EveryDefaultIsAValueItsOwnOptionAccepts) {
  for (const Command& command : all_commands()) {
    for (const OptionSpec& option : command.spec.options) {
      SCOPED_TRACE(command.spec.name + " --" + option.name);
      EXPECT_FALSE(option.help.empty());
      const bool number = option.type == OptionType::integer || option.type == OptionType::real;
      if (option.required) continue;
      EXPECT_FALSE(option.default_text.empty() && (number || option.type == OptionType::flag));
      if (option.default_text.empty()) continue;
      CommandSpec alone;
      alone.name = command.spec.name;
      alone.options = {option};
      EXPECT_NO_THROW(parse_options(alone, {"--" + option.name + "=" + option.default_text}));
    }
  }
}

TEST(Commands, NoOptionIsListedTwice) {
  for (const Command& command : all_commands()) {
    std::set<std::string> names = {"help", "config", "quiet", "threads"};
    for (const OptionSpec& option : command.spec.options) {
      EXPECT_TRUE(names.insert(option.name).second) << command.spec.name << " --" << option.name;
    }
  }
}

TEST(Commands, FrontPageListsAllAndFindsThemByName) {
  const std::string page = front_page();
  for (const Command& command : all_commands()) {
    EXPECT_NE(page.find("  " + command.spec.name), std::string::npos);
    EXPECT_EQ(find_command(command.spec.name).spec.name, command.spec.name);
  }
  try {
    find_command("inspcet");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("inspect"), std::string::npos);
  }
}

TEST(Commands, OptionsPageInDocsIsFresh) {
  std::vector<CommandSpec> specs;
  for (const Command& command : all_commands()) specs.push_back(command.spec);
  const std::string fresh = options_page(specs);
  const std::string path = source_dir() + "/docs/options.md";
  if (std::getenv("ALM_WRITE") != nullptr) std::ofstream(path) << fresh;
  std::ostringstream stored;
  stored << std::ifstream(path).rdbuf();
  EXPECT_TRUE(stored.str() == fresh)
      << "docs/options.md is stale; refresh it by running in the build folder:\n"
      << "  ALM_WRITE=1 ./tests_launch --gtest_filter=Commands.OptionsPageInDocsIsFresh";
}

TEST(Version, NamesEveryLinkedLibraryAndWhatGpusNeed) {
  const std::string text = version_text("self") + gpu_version_text();
  for (const char* name : {"commit", "self", "MPI", "HDF5", "libdeflate", "zstd", "lz4", "OpenSSL",
                           "oneDNN", "Boost", "CUDA", "CUDA driver", "cuBLASLt", "NCCL"}) {
    EXPECT_NE(text.find(name), std::string::npos) << name << " missing in\n" << text;
  }
}

// Of each it is said whether it was built in, and if so what of it is here.
TEST(Version, SaysInWordsWhatIsNotThere) {
  const bool has_gpus = find_gpu().built_in;
  int64_t said = 0;
  for (const std::string& line : split(version_text("self") + gpu_version_text(), '\n')) {
    const std::string name = line.substr(0, line.find("  ", 2));
    const auto says = [&](const char* words) { return line.find(words) != line.npos; };
    if (name == "  CUDA") {
      EXPECT_TRUE(says(has_gpus ? "built with 1" : "not built in")) << line;
    } else if (name == "  CUDA driver") {
      EXPECT_TRUE(has_gpus ? says("not found") || says("of CUDA ") : says("not looked for"))
          << line;
    } else if (name == "  cuBLASLt" || name == "  NCCL") {
      EXPECT_TRUE(says("not built in") ||
                  (has_gpus && says("built with ") && (says(", found ") || says(", not found ("))))
          << line;
    } else {
      continue;
    }
    ++said;
  }
  EXPECT_EQ(said, 4);
}

TEST(Threads, AreAsAskedOrTheCoresOfTheRank) {
  const auto self = make_self_communicator();
  CommandSpec spec;
  spec.name = "sample";
  EXPECT_EQ(threads_of_rank(parse_options(spec, {"--threads", "7"}), *self), 7);
  EXPECT_GE(threads_of_rank(parse_options(spec, {}), *self), 1);
}

}  // namespace
}  // namespace alm
