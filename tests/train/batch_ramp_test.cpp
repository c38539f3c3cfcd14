#include "galvatron/train/batch_ramp.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::train {
namespace {

TEST(BatchRamp, GrowsInEqualPartsOfItsSamples) {
  const BatchRamp ramp({2, 2, 12}, 8, 2);  // 2, 4 and 6 for four samples each
  std::vector<std::int64_t> batches;
  for (std::int64_t consumed = 0; consumed < 30; consumed += batches.back())
    batches.push_back(ramp.at(consumed));
  EXPECT_EQ(batches, (std::vector<std::int64_t>{2, 2, 4, 6, 8, 8}));
  EXPECT_EQ(ramp.at(3), 2);
  EXPECT_EQ(ramp.at(4), 4);
  EXPECT_EQ(ramp.at(11), 6);
  EXPECT_EQ(ramp.at(12), 8);
}

TEST(BatchRamp, OfNothingIsTheGlobalBatch) { EXPECT_EQ(BatchRamp({}, 8, 4).at(0), 8); }

TEST(BatchRamp, RefusesWhatDoesNotLeadThere) {
  const auto refusal = [](const std::vector<int>& numbers) {
    return config_error_of([&] { BatchRamp(numbers, 16, 4); });
  };
  EXPECT_EQ(refusal({4, 4}),
            "[train] --batch-rampup 4,4: needs three numbers, the first batch, what is added, and "
            "the samples after which it is the global batch");
  EXPECT_EQ(refusal({16, 4, 100}),
            "[train] --batch-rampup 16,4,100: does not grow from 16 to the global batch of 16; "
            "begin with fewer, or leave it away");
  EXPECT_EQ(refusal({4, 5, 100}),
            "[train] --batch-rampup 4,5,100: steps of 5 do not lead from 4 to the global batch of "
            "16; they must divide 12");
  EXPECT_EQ(
      refusal({2, 2, 100}),
      "[train] --batch-rampup 2,2,100: the first batch of 2 leaves some of the 4 microbatches "
      "without a sample; begin with 4 or more");
}

}  // namespace
}  // namespace galvatron::train
