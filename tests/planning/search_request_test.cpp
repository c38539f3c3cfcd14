#include "galvatron/planning/search_request.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::planning {
namespace {

TEST(ParseBatches, TakesANumberAListOrARange) {
  EXPECT_EQ(parse_batches("64"), (std::vector<std::int64_t>{64}));
  EXPECT_EQ(parse_batches("32,64"), (std::vector<std::int64_t>{32, 64}));
  EXPECT_EQ(parse_batches("16:64:16"), (std::vector<std::int64_t>{16, 32, 48, 64}));
  EXPECT_EQ(parse_batches("3:5"), (std::vector<std::int64_t>{3, 4, 5}));
}

TEST(ParseBatches, RefusesEverythingElse) {
  for (const char* text : {"", "x", "1,", "1:2,3", "5:3", "1:2:0", "-1"}) {
    EXPECT_NE(config_error_of([&] { parse_batches(text); }).find("--global-batch needs"),
              std::string::npos)
        << text;
  }
}

TEST(ParseBatches, SaysOfALongRangeThatItIsOne) {
  const std::string said = config_error_of([] { parse_batches("1:1000000:1"); });
  EXPECT_NE(said.find("a range of more than 10000 batches"), std::string::npos) << said;
}

TEST(PrepareSearch, ADataSheetStandsForWhatWasNotMeasured) {
  MachineKnowledge knowledge;
  knowledge.cluster = profiles::load_cluster("8xH100");
  SearchRequest request;
  request.question.world_size = 4;
  request.question.precision = spec::Precision::kFp32;
  request.question.optimizer = "sgd";
  const PreparedSearch prepared = prepare_search(request, spec::load_model("gpt2-tiny"), knowledge);
  EXPECT_EQ(prepared.question.hardware.world_size, 4);
  EXPECT_EQ(prepared.question.job.seq_length,
            prepared.question.model.max_positions);  // below the usual 8192
  EXPECT_EQ(prepared.question.job.global_batch, 8);
  EXPECT_EQ(prepared.question.job.optimizer->name, "sgd");
  EXPECT_EQ(prepared.question.memory_given, prepared.question.hardware.device_memory);
  EXPECT_EQ(prepared.options.memory, prepared.question.memory);
}

TEST(PrepareSearch, SaysWhatIsMissing) {
  const std::string message =
      config_error_of([] { prepare_search({}, spec::load_model("gpt2-tiny"), {}); });
  EXPECT_EQ(
      message,
      "[search] --hardware is missing: give a measured profile, or a --cluster to compute with");
}

}  // namespace
}  // namespace galvatron::planning
