// Galvatron-2's formulas against the figures that its own code gave.
#include "galvatron/galvatron2/cost.h"

#include <cmath>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "galvatron2/recorded_case.h"

namespace galvatron::galvatron2 {
namespace {

Profiles llama_profiles() {
  ProfileQuery query;
  query.directory = test_data() / "profiles";
  return read_profiles(query);
}

// "2-4*-1f-c-sp": pipeline, degree, data parallel; f is ZeRO-3, c recompute, sp Ulysses.
Strategy parse(const std::string& text) {
  int pp = 0, degree = 0;
  std::sscanf(text.c_str(), "%d-%d", &pp, &degree);
  const bool ulysses = text.find("-sp") != std::string::npos;
  return {degree, ulysses, text.find('f') != std::string::npos,
          text.find("-c") != std::string::npos};
}
int pp_degree(const std::string& text) { return std::stoi(text); }

void expect_close(double ours, double theirs, const std::string& what) {
  // The figures carry nine decimals of a second and four of a MB.
  EXPECT_NEAR(ours, theirs, 1e-6 * std::abs(theirs)) << what;
}

TEST(Cost, GoldenLayers) {
  const auto profiles = llama_profiles();
  const Job job;
  const CostModel model(job, profiles);
  const Json golden = read_json_file(test_data() / "golden_costs.json");
  for (const Json& row : golden["layer"]) {
    const std::string text = row[2];
    const Shape shape{row[0], row[1], pp_degree(text)};
    const auto cost = model.layer(shape, parse(text));
    expect_close(cost.sync_ms / 1000, row[4], row.dump());
    expect_close(cost.no_sync_ms / 1000, row[5], row.dump());
    for (int stage = 0; stage < shape.pp_degree; ++stage) {
      expect_close(cost.memory.at(model.in_flight(shape, stage)), row[6][stage], row.dump());
    }
  }
  EXPECT_EQ(golden["layer"].size(), 100u);
}

TEST(Cost, GoldenEmbeddings) {
  const auto profiles = llama_profiles();
  const Job job;
  const CostModel model(job, profiles);
  const Json golden = read_json_file(test_data() / "golden_costs.json");
  for (const Json& row : golden["embed"]) {
    const std::string text = row[2];
    const Shape shape{row[0], row[1], pp_degree(text)};
    const auto cost = model.vocabulary(shape, parse(text));
    const int last = shape.pp_degree - 1;
    for (int stage = 0; stage <= last; ++stage) {
      EndCost end;
      if (stage == 0) end = cost.first;
      if (stage == last && last > 0) end = cost.last;
      expect_close(end.sync_ms / 1000, row[4][stage], row.dump());
      expect_close(end.no_sync_ms / 1000, row[5][stage], row.dump());
      expect_close(end.memory.at(model.in_flight(shape, stage)) + model.fixed_mb(shape, 0),
                   row[6][stage], row.dump());
    }
  }
  EXPECT_GT(golden["embed"].size(), 30u);
}

TEST(Cost, GoldenPipelines) {
  const auto profiles = llama_profiles();
  const Job job;
  const CostModel model(job, profiles);
  const Json golden = read_json_file(test_data() / "golden_costs.json");
  for (const Json& row : golden["pipeline"]) {
    std::vector<Strategy> layers;
    for (const std::string text : row["strategies"]) {
      const std::size_t x = text.find("x ");
      layers.insert(layers.end(), std::stoi(text), parse(text.substr(x + 2)));
    }
    const std::vector<int> partition = row["partition"];
    const Shape shape{row["B"], row["m"], static_cast<int>(partition.size())};
    std::vector<StageTime> stages;
    std::size_t next = 0;
    for (std::size_t stage = 0; stage < partition.size(); ++stage) {
      StageTime time;
      time.no_sync_ms = 1000 * double(row["other_no_sync_s"][stage]);
      for (int i = 0; i < partition[stage]; ++i) {
        const auto cost = model.layer(shape, layers[next++]);
        time.no_sync_ms += cost.no_sync_ms;
        time.layer_sync_ms += cost.sync_ms;
      }
      stages.push_back(time);
    }
    expect_close(pipeline_ms(stages, row["m"]) / 1000, row["time_s"], row.dump());
  }
  EXPECT_EQ(golden["pipeline"].size(), 3u);
}

TEST(Cost, RecordedPlansScoreAsRecorded) {
  int count = 0;
  for (const auto& file : case_files()) {
    const RecordedCase question(file);
    const Json& upstream = question.json["upstream"];
    const auto plan = plan_from_json(upstream["plan"], file.string());
    const Score ours = score(question.job, question.profiles, plan);
    expect_close(ours.samples_per_second, upstream["throughput"], file.string());
    // Its memory counts whole MB per layer, so it is at most one MB a layer above ours, the reserve
    // of 20 %, and the gather buffer even of plans without tensor parallelism.
    const CostModel model(question.job, question.profiles);
    const Shape shape{plan.global_batch, plan.num_microbatches, plan.pp_degree};
    const double buffer = model.fixed_mb(shape, plan.vocabulary.degree) - model.fixed_mb(shape, 0);
    const double budget = double(question.json["memory_gb"]) * 1024;
    const double limit = limit_mb(question.memory);
    for (std::size_t stage = 0; stage < ours.stage_mb.size(); ++stage) {
      const double theirs = double(upstream["memory_mb_per_stage"][stage]) - (budget - limit);
      EXPECT_LE(ours.stage_mb[stage], theirs + 2) << file;
      EXPECT_GE(ours.stage_mb[stage], theirs - question.job.num_layers - 2 - buffer) << file;
      EXPECT_LE(ours.stage_mb[stage], limit) << file;
    }
    ++count;
  }
  EXPECT_EQ(count, 15);
}

TEST(Cost, ReserveStartsAbove20GB) {
  EXPECT_DOUBLE_EQ(limit_mb(gibibytes(20)), 20480);
  EXPECT_DOUBLE_EQ(limit_mb(Bytes{(std::int64_t{41} << 30) / 2}), 20992);
  EXPECT_DOUBLE_EQ(limit_mb(gibibytes(24)), 0.8 * 24576);
}

}  // namespace
}  // namespace galvatron::galvatron2
