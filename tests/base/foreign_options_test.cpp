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

TEST(ForeignOptions, OfSchedulesAndGroups) {
  EXPECT_EQ(foreign_option_hint("--weight-decay-incr-style", true),
            "; that is --weight-decay-schedule here");
  EXPECT_EQ(foreign_option_hint("--rampup-batch-size", true),
            "; that is --batch-rampup with commas: START,INCREMENT,SAMPLES");
  EXPECT_EQ(foreign_option_hint("freeze", false),
            "; parameters are frozen by their names: param_group 'PATTERN:frozen'");
}

TEST(ForeignOptions, OfNobodyHaveNone) {
  EXPECT_EQ(foreign_option_hint("--stepz", true), "");
  EXPECT_EQ(foreign_option_hint("--", true), "");
  EXPECT_EQ(foreign_option_hint("", false), "");
}

TEST(UnknownOptions, AreHintedAtByWhatTheCommandHas) {
  const std::vector<std::string> training = {"lr", "steps", "num_microbatches", "global_batch"};
  EXPECT_EQ(unknown_option_hint("learning_rate", training, false), "; that is lr here");
  EXPECT_EQ(unknown_option_hint("stepz", training, false), ", did you mean 'steps'?");
  EXPECT_EQ(unknown_option_hint("gradient_accumulation_steps", training, false),
            "; that is num_microbatches here");
  EXPECT_NE(unknown_option_hint("micro_batch_size", training, false)
                .find("; microbatches are counted here, not sized: num_microbatches is"),
            std::string::npos);
  EXPECT_EQ(unknown_option_hint("--learning-rate", {"--lr"}, true), "; that is --lr here");
  EXPECT_EQ(unknown_option_hint("moon", training, false), "");
}

TEST(UnknownOptions, OfOtherCommandsAreSaidToBelongThere) {
  EXPECT_EQ(unknown_option_hint("learning_rate", {"memory"}, false),
            "; that is lr, which belongs elsewhere");
  // What is near is meant rather than what another system calls so.
  EXPECT_EQ(unknown_option_hint("devices", {"device", "link"}, false), ", did you mean 'device'?");
}

}  // namespace
}  // namespace galvatron
