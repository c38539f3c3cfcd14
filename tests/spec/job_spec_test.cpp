#include "galvatron/spec/job_spec.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::spec {
namespace {

TEST(Precision, NamesGoBothWays) {
  ASSERT_EQ(precision_names().size(), 4u);
  for (const std::string& name : precision_names()) {
    EXPECT_EQ(to_text(parse_precision(name)), name);
  }
  EXPECT_EQ(config_error_of([] { parse_precision("bf61"); }),
            "[precision] 'bf61' is not one of fp64, fp32, bf16, fp16, did you mean 'bf16'?");
}

TEST(Precision, HalfTypesComputeInTwoBytesAndKeepFourByteStates) {
  EXPECT_EQ(compute_bytes(Precision::kFp64), 8);
  EXPECT_EQ(compute_bytes(Precision::kFp32), 4);
  EXPECT_EQ(compute_bytes(Precision::kBf16), 2);
  EXPECT_EQ(compute_bytes(Precision::kFp16), 2);
  EXPECT_EQ(state_bytes(Precision::kFp64), 8);
  EXPECT_EQ(state_bytes(Precision::kFp32), 4);
  EXPECT_EQ(state_bytes(Precision::kBf16), 4);
  EXPECT_EQ(state_bytes(Precision::kFp16), 4);
}

}  // namespace
}  // namespace galvatron::spec
