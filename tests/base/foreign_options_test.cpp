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

TEST(ForeignOptions, OfLaunchersAndShardingSayWhatToDo) {
  EXPECT_EQ(foreign_option_hint("--fsdp", true), "; that is --zero-stage 3 (2 for SHARD_GRAD_OP)");
  for (const char* name : {"--nnodes", "--num-nodes", "--world-size"}) {
    EXPECT_EQ(foreign_option_hint(name, true),
              "; ranks are those that are started: --nproc on this machine; torchrun, srun or "
              "mpirun start those of several");
  }
  EXPECT_EQ(foreign_option_hint("--deepspeed", true),
            "; ZeRO is --zero-stage 1, 2 or 3; every setting is an option here, or a key of "
            "--config");
  EXPECT_EQ(foreign_option_hint("warmup_ratio", false),
            "; the warm-up is counted in steps: warmup_steps is the ratio x steps");
}

TEST(ForeignOptions, OfNobodyHaveNone) {
  EXPECT_EQ(foreign_option_hint("--stepz", true), "");
  EXPECT_EQ(foreign_option_hint("--", true), "");
  EXPECT_EQ(foreign_option_hint("", false), "");
}

}  // namespace
}  // namespace galvatron
