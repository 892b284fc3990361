#include "io/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "kernels/base/check.h"

namespace alm::io {
namespace {

std::string temporary(const std::string& name) {
  return testing::TempDir() + "/alm_json_" + name;
}

TEST(Json, KeepsTheOrderOfInsertionThroughAFile) {
  const std::string path = temporary("order.json");
  const Json value = {{"z", 1}, {"a", {1.5, nullptr, "x"}}, {"m", true}};
  write_json_atomically(path, value);
  const Json back = read_json(path);
  EXPECT_EQ(back, value);
  EXPECT_EQ(back.begin().key(), "z");
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
  std::filesystem::remove(path);
}

TEST(Json, ErrorsNameTheFile) {
  const std::string path = temporary("bad.json");
  std::ofstream(path) << "{\"a\": ";
  for (const std::string& name : {path, temporary("missing.json"), testing::TempDir()}) {
    try {
      read_json(name);
      FAIL() << name;
    } catch (const UserError& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos);
    }
  }
  std::filesystem::remove(path);
}

TEST(Json, NumbersThatAreNoneBecomeNull) {
  EXPECT_EQ(number(1.5), Json(1.5));
  EXPECT_TRUE(number(std::nan("")).is_null());
  EXPECT_TRUE(number(-std::numeric_limits<double>::infinity()).is_null());
}

TEST(Json, TextThatIsNotUtf8IsWrittenWithoutAnError) {
  const std::string path = temporary("bytes.json");
  write_json_atomically(path, {{"name", "a\xff"}});
  EXPECT_EQ(read_json(path)["name"], "a\xEF\xBF\xBD");
  std::filesystem::remove(path);
}

TEST(Json, ADirectoryThatDoesNotExistIsAMachineErrorNamingThePath) {
  EXPECT_THROW(write_text_atomically(temporary("none") + "/x/y", "text"), MachineError);
}

TEST(Json, BytesThatAreNotUtf8AreShownAndNeverThrow) {
  const std::string broken = "a\x9c b\xc3\xbc";
  EXPECT_EQ(json_text(broken), "\"a\xef\xbf\xbd b\xc3\xbc\"");
  EXPECT_EQ(valid_utf8(broken), "a\xef\xbf\xbd b\xc3\xbc");
  EXPECT_EQ(valid_utf8("gr\xc3\xb6\xc3\x9f\x65"), "gr\xc3\xb6\xc3\x9f\x65");
}

TEST(Json, TextOfStrangersBecomesOneLine) {
  EXPECT_EQ(one_line(""), "");
  EXPECT_EQ(one_line("größe 日本 🙂"), "größe 日本 🙂");
  EXPECT_EQ(one_line(std::string("a\nb\t\0\x7f", 6)), "a?b???");
  EXPECT_EQ(one_line("caf\xe9\n"), "caf\xEF\xBF\xBD?");
}

}  // namespace
}  // namespace alm::io
