#include "galvatron/base/table.h"

#include <gtest/gtest.h>

#include "galvatron/base/error.h"

namespace galvatron {
namespace {

TEST(TextTable, AlignsNamesLeftAndNumbersRight) {
  TextTable table({"layer", "time"});
  table.add_row({"embedding", "1.5"});
  table.add_row({"head", "120"});
  EXPECT_EQ(table.to_string(""),
            "layer      time\n"
            "─────────  ────\n"
            "embedding   1.5\n"
            "head        120\n");
}

TEST(TextTable, LeavesNoSpacesAtTheEndOfALine) {
  TextTable table({"stage", "layers"});
  table.align(1, TextTable::Align::kLeft);
  table.add_row({"0", "embedding"});
  table.add_row({"1", "head"});
  EXPECT_EQ(table.to_string("| "),
            "| stage  layers\n"
            "| ─────  ─────────\n"
            "| 0      embedding\n"
            "| 1      head\n");
}

TEST(TextTable, GoesOnBelowWhereTheTerminalEnds) {
  TextTable table({"layer", "forward", "backward"});
  table.add_row({"head", "1.5 ms", "3 ms"});
  EXPECT_EQ(table.to_string("", 16),
            "layer  forward\n"
            "─────  ───────\n"
            "head    1.5 ms\n"
            "\n"
            "layer  backward\n"
            "─────  ────────\n"
            "head       3 ms\n");
  EXPECT_EQ(table.to_string("", 24), table.to_string("", std::nullopt));
  EXPECT_NE(table.to_string("", 23), table.to_string("", std::nullopt));
}

TEST(TextTable, RefusesARowOfAnotherWidth) {
  TextTable table({"a", "b"});
  EXPECT_THROW(table.add_row({"1"}), InternalError);
}

TEST(TextBar, FillsItsFractionAndStaysWithinIt) {
  EXPECT_EQ(text_bar(0.5, 4), "██░░");
  EXPECT_EQ(text_bar(-1, 3), "░░░");
  EXPECT_EQ(text_bar(7, 3), "███");
  EXPECT_EQ(display_width(text_bar(0.3, 10)), 10u);
}

}  // namespace
}  // namespace galvatron
