#include "kernels/base/dynamic_library.h"

#include <gtest/gtest.h>

namespace alm {
namespace {

constexpr const char* kMaths = "libm.so.6";  // of the system, and linked anyhow

TEST(DynamicLibrary, GivesFunctionsByName) {
  DynamicLibrary maths("maths", kMaths);
  double (*root)(double) = nullptr;
  maths.find("sqrt", root);
  ASSERT_NE(root, nullptr);
  EXPECT_EQ(root(16), 4);
  EXPECT_EQ(maths.obstacle(), "");
  EXPECT_EQ(maths.versions("1.2", "1.3"), "built with 1.2, found 1.3");
}

TEST(DynamicLibrary, NamesTheFirstFunctionThatItCannotDoWithout) {
  DynamicLibrary maths("maths", kMaths);
  void (*none)() = [] {};
  maths.find_if_any("no_such_function", none);
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(maths.obstacle(), "");
  maths.find("no_such_root", none);
  maths.find("no_such_power", none);
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(maths.obstacle(), "maths is too old: it has no no_such_root");
  EXPECT_EQ(maths.versions("1.2", "1.0"),
            "built with 1.2, found 1.0, maths is too old: it has no no_such_root");
}

TEST(DynamicLibrary, SaysOnceThatTheFileCannotBeLoadedAndWhatHelps) {
  DynamicLibrary absent("maths", "libno_such_maths.so.1");
  double (*root)(double) = [](double of) { return of; };
  absent.find("sqrt", root);
  EXPECT_EQ(root, nullptr);
  const std::string begins = "maths cannot be loaded: libno_such_maths.so.1: ";
  const std::string ends = "; install it, or name its folder in LD_LIBRARY_PATH";
  EXPECT_EQ(absent.obstacle().substr(0, begins.size()), begins);
  EXPECT_TRUE(absent.obstacle().ends_with(ends)) << absent.obstacle();
  EXPECT_EQ(absent.versions("1.2", ""), "built with 1.2, not found (" + absent.obstacle() + ")");
}

}  // namespace
}  // namespace alm
