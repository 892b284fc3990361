#include "kernels/base/controls.h"

#include <gtest/gtest.h>

namespace alm {
namespace {

TEST(Controls, BreakNoLine) {
  EXPECT_EQ(without_controls(""), "");
  EXPECT_EQ(without_controls("a\nb\r\t\x1b[31mc\x7f"), "a?b???[31mc?");
  EXPECT_EQ(without_controls(std::string("\0", 1)), "?");
  EXPECT_EQ(without_controls("gr\xc3\xbc\xc3\x9f dich, 90 %"), "gr\xc3\xbc\xc3\x9f dich, 90 %");
}

}  // namespace
}  // namespace alm
