#include "galvatron/train/step_ranges.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::train {
namespace {

StepRanges parsed(const std::string& text) { return StepRanges::parse(text, "--trace-steps"); }

TEST(StepRanges, RangesHoldBothEnds) {
  const StepRanges steps = parsed("20,10..12");
  std::vector<std::int64_t> held;
  for (std::int64_t step = 0; step < 30; ++step) {
    if (steps.contains(step)) held.push_back(step);
  }
  EXPECT_EQ(held, (std::vector<std::int64_t>{10, 11, 12, 20}));
  EXPECT_EQ(steps.last(), 20);
  EXPECT_EQ(steps.text(), "10..12,20");
}

TEST(StepRanges, WhatTouchesIsOne) {
  EXPECT_EQ(parsed("5,1..3,2..4,5").text(), "1..5");
  EXPECT_EQ(parsed("1..9,3..4,7").text(), "1..9");
  EXPECT_EQ(parsed(parsed("7,9").text()), parsed("9,7"));
  EXPECT_TRUE(StepRanges().empty());
}

TEST(StepRanges, NonsenseIsOneSentence) {
  for (const std::string text : {"", "0", "-1", "a", "1..", "..3", "3..1", "1-3", "1,,2", "1..2..3",
                                 "1.5", "9223372036854775807", "99999999999999999999"}) {
    EXPECT_EQ(config_error_of([&] { parsed(text); }),
              "--trace-steps needs steps from 1 on, such as 10..12,20, not '" + text + "'");
  }
  EXPECT_EQ(parsed("1..1000").last(), StepRanges::kMost);
  EXPECT_EQ(config_error_of([&] { parsed("1..500,600..1100"); }),
            "--trace-steps names more than 1000 steps, '1..500,600..1100': name fewer, as all of "
            "them are kept in memory until the last is done");
}

}  // namespace
}  // namespace galvatron::train
