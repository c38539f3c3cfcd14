#include "galvatron/base/shell_word.h"

#include <gtest/gtest.h>

namespace galvatron {
namespace {

TEST(ShellWord, QuotesWhatAShellWouldRead) {
  EXPECT_EQ(shell_word("--save=runs/a_1.b"), "--save=runs/a_1.b");
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("a b"), "'a b'");
  EXPECT_EQ(shell_word("it's $(x)"), "'it'\\''s $(x)'");
}

}  // namespace
}  // namespace galvatron
