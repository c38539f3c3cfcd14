#include "galvatron/base/foreign_options.h"

#include <gtest/gtest.h>

namespace galvatron {
namespace {

TEST(ForeignOptions, AreToldOurs) {
  EXPECT_EQ(foreign_option_hint("--learning-rate", true), "; that is --lr here");
  EXPECT_EQ(foreign_option_hint("learning_rate", false), "; that is lr here");
  EXPECT_EQ(foreign_option_hint("--tensor_model_parallel_size", true),
            "; that is --tp-degree here");
  EXPECT_EQ(foreign_option_hint("pp_deg", false), "; that is pp_degree here");
}

TEST(ForeignOptions, WithoutACounterpartSayWhatToDo) {
  EXPECT_EQ(foreign_option_hint("--epochs", true),
            "; the length of a run is counted in optimizer steps: --steps is epochs x samples / "
            "--global-batch");
  EXPECT_EQ(foreign_option_hint("bf16", false),
            "; that is precision with bf16, fp16, fp32 or fp64");
}

TEST(ForeignOptions, OfNobodyHaveNone) {
  EXPECT_EQ(foreign_option_hint("--stepz", true), "");
  EXPECT_EQ(foreign_option_hint("--", true), "");
  EXPECT_EQ(foreign_option_hint("", false), "");
}

}  // namespace
}  // namespace galvatron
