// Measured profiles, clusters and overrides, as a question joins them.
#include <gtest/gtest.h>

#include "galvatron/planning/answer.h"
#include "galvatron/planning/search_request.h"

#include "config_error.h"

namespace galvatron::planning {
namespace {

using profiles::Collective;

profiles::HardwareProfile measured_node() {
  profiles::HardwareProfile out;
  out.device = "NVIDIA A100-SXM4-80GB";
  out.world_size = out.ranks_per_node = 8;
  out.device_memory = gibibytes(78);
  for (const Collective collective :
       {Collective::kAllReduce, Collective::kAllGather, Collective::kReduceScatter}) {
    out.tables.push_back({collective, {8, 1}, profiles::Curve({{1e6, 0.1}, {1e8, 5}})});
  }
  return out;
}

profiles::ModelProfile measured_layers() {
  profiles::ModelProfile out;
  out.model = "gpt2";
  out.seq_length = 1024;
  for (const char* type : {"embedding", "block", "head"}) {
    out.types.push_back({type, {}, {profiles::LayerMeasurement{}}});
  }
  return out;
}

Question ask(MachineKnowledge knowledge, const std::string& cluster, const std::string& arguments) {
  QuestionRequest request;
  question_options(request).read(Json::parse(arguments), "question");
  if (!cluster.empty()) knowledge.cluster = profiles::load_cluster(cluster);
  return prepare_question(request, spec::load_model("gpt2"), std::move(knowledge));
}

TEST(Machine, OverridesReachTheNumbers) {
  const Question usual = ask({}, "2x8xA100-40G", "{}");
  EXPECT_EQ(usual.hardware.world_size, 16);
  EXPECT_TRUE(usual.hardware.extrapolated.empty());
  const Question slow = ask({}, "2x8xA100-40G",
                            R"({"inter_node": "25GB/s", "device_memory": "24GiB",
                                "matmul_efficiency": 0.3, "overhead_us": 0})");
  EXPECT_EQ(slow.hardware.links.at("inter_node").bandwidth_bytes_per_ms, 25e6 / 8);
  EXPECT_EQ(slow.hardware.device_memory, gibibytes(24));
  const double ratio =
      slow.profile.lookup(1, 1, 8).forward.value / usual.profile.lookup(1, 1, 8).forward.value;
  EXPECT_GT(ratio, 1.5);
  EXPECT_EQ(ask({}, "8xA100", R"({"world_size": 32})").hardware.extrapolated.size(), 1u);
}

TEST(Machine, AMeasuredNodeKeepsItsTablesBesideACluster) {
  MachineKnowledge knowledge;
  knowledge.hardware = measured_node();
  const Question question = ask(knowledge, "8x8xA100:25GB/s", "{}");
  EXPECT_EQ(question.hardware.world_size, 64);
  const auto time = [&](profiles::GroupShape shape) {
    return question.hardware.group_time(Collective::kAllReduce, shape, Bytes{100'000'000}).value;
  };
  EXPECT_DOUBLE_EQ(time({8, 1}), 5);
  EXPECT_NEAR(time({64, 1}), 0.015 * 12 + 2.0 * 63 / 64 * 1e8 / 25e6, 1e-6);
  EXPECT_EQ(question.hardware.extrapolated.size(), 1u);
}

TEST(Machine, AnswersSayWhatIsGivenAndWhatIsExtrapolated) {
  const Question larger = ask({}, "64xA100", R"({"world_size": 128, "device_memory": "70GiB"})");
  const std::string text = to_text(larger, 64, {});
  for (const char* part : {"from the data sheet of 64xA100; given: --device-memory 70GiB\n",
                           "  extrapolated: 16 nodes joined by 176 GB/s each"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
  EXPECT_EQ(question_to_json(larger, 64)["extrapolated"].size(), 1u);
  EXPECT_FALSE(question_to_json(ask({}, "64xA100", "{}"), 64).contains("extrapolated"));
}

TEST(Machine, AnswersSayWhichDegreesOfAPlanWereNotMeasured) {
  MachineKnowledge knowledge;
  knowledge.hardware = measured_node();
  knowledge.profile = measured_layers();
  const Question question = ask(knowledge, "", R"({"seq_length": 512})");
  const std::vector<std::string> own = extrapolated(question);
  EXPECT_EQ(own,
            std::vector<std::string>{"layers at 512 tokens: from 1024 measured, by their shapes"});
  plan::LayerStrategy strategy;
  strategy.tp_degree = 2;
  const plan::Plan plan = plan::uniform_plan(question.model, question.job, 8, strategy, 1, 1);
  EXPECT_EQ(extrapolated(question, plan).size(), 2u);
  EXPECT_EQ(extrapolated_text(question, plan),
            "  extrapolated: layers at tp_degree 2: from tp_degree 1 measured, by their shapes\n");
}

TEST(Machine, AWorldThatNothingIsKnownAboutIsRefused) {
  MachineKnowledge knowledge;
  knowledge.hardware = measured_node();
  knowledge.profile = measured_layers();
  EXPECT_EQ(ask(knowledge, "", R"({"world_size": 8})").hardware.world_size, 8);
  const std::string message = config_error_of([&] { ask(knowledge, "", R"({"world_size": 64})"); });
  EXPECT_NE(message.find("says nothing of the network between the 8 nodes"), std::string::npos)
      << message;
  EXPECT_EQ(ask(knowledge, "", R"({"world_size": 64, "inter_node": "25GB/s"})")
                .hardware.extrapolated.size(),
            1u);
  EXPECT_NE(config_error_of([&] {
              ask({}, "8xA100", R"({"inter_node": "25GB/s"})");
            }).find("8xA100 is one node of 8"),
            std::string::npos);
}

TEST(Machine, LayersAndRanksAreOfOneDevice) {
  MachineKnowledge knowledge;
  knowledge.hardware = measured_node();
  knowledge.profile = measured_layers();
  knowledge.profile->device = "NVIDIA A100 80GB SXM";
  EXPECT_TRUE(ask(knowledge, "", "{}").hardware.extrapolated.empty());
  knowledge.profile->device = "NVIDIA H100 PCIe";
  const auto said = ask(knowledge, "", "{}").hardware.extrapolated;
  ASSERT_EQ(said.size(), 1);
  EXPECT_EQ(said[0], "layers: measured on NVIDIA H100 PCIe, collectives on NVIDIA A100-SXM4-80GB");
  knowledge.profile->device = "cpu: Some Processor";
  EXPECT_NE(config_error_of([&] { ask(knowledge, "", "{}"); }).find("measure both on one machine"),
            std::string::npos);
}

TEST(Machine, ACalibrationIsCountedInAndSaid) {
  MachineKnowledge knowledge;
  const Question plain = ask(knowledge, "8xA100", "{}");
  knowledge.calibration.emplace();
  knowledge.calibration->device = "NVIDIA A100-SXM4-80GB";
  knowledge.calibration->precision = plain.job.precision;
  knowledge.calibration->run = "runs/first";
  knowledge.calibration->factors[plan::StepKind::kForward] = 1.5;
  const Question calibrated = ask(knowledge, "8xA100", "{}");
  EXPECT_EQ(calibrated.inputs().factors[plan::StepKind::kForward], 1.5);
  EXPECT_EQ(calibrated.inputs(8).factors[plan::StepKind::kForward], 1.5);
  ASSERT_FALSE(calibrated.hardware.extrapolated.empty());
  EXPECT_NE(calibrated.hardware.extrapolated[0].find("corrected by runs/first"), std::string::npos);
  EXPECT_NE(
      config_error_of([&] { ask(knowledge, "8xH100", "{}"); }).find("leave --calibration out"),
      std::string::npos);
}

}  // namespace
}  // namespace galvatron::planning
