#include "galvatron/base/terminal.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace galvatron {
namespace {

using Lines = std::vector<std::string>;

TEST(WrapText, BreaksAtSpacesAndNeverInsideAWord) {
  EXPECT_EQ(wrap_text("one two three", 7), (Lines{"one two", "three"}));
  EXPECT_EQ(wrap_text("one two three", 80), (Lines{"one two three"}));
  EXPECT_EQ(wrap_text("a incomprehensibilities b", 5), (Lines{"a", "incomprehensibilities", "b"}));
  EXPECT_EQ(wrap_text("", 5), (Lines{""}));
  EXPECT_EQ(wrap_text("──── ──── x", 9), (Lines{"──── ────", "x"})) << "columns, not bytes";
}

class Columns : public testing::Test {
 protected:
  void SetUp() override {
    if (const char* now = std::getenv("COLUMNS")) before_ = now;
  }
  void TearDown() override {
    before_.empty() ? unsetenv("COLUMNS") : setenv("COLUMNS", before_.c_str(), 1);
  }
  std::string before_;
};

TEST_F(Columns, WinOverWhatTheTerminalSays) {
  setenv("COLUMNS", "60", 1);
  EXPECT_EQ(terminal_width(), 60);
  setenv("COLUMNS", "7", 1);
  EXPECT_EQ(terminal_width(), 40) << "nothing can be read in less";
}

TEST_F(Columns, OfAFileHaveNoEnd) {
  unsetenv("COLUMNS");
  std::FILE* file = std::tmpfile();
  EXPECT_EQ(terminal_width(file), std::nullopt);
  setenv("COLUMNS", "wide", 1);
  EXPECT_EQ(terminal_width(file), std::nullopt);
  std::fclose(file);
}

}  // namespace
}  // namespace galvatron
