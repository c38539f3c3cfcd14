#include "galvatron/planning/sweep.h"

#include <stdexcept>

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::planning {
namespace {

SweepRequest sweep_of(std::vector<std::string> models) {
  SweepRequest request;
  request.models = std::move(models);
  request.clusters = {"8xA100-40G"};
  request.world_sizes = {4};
  request.global_batches = {8};
  return request;
}

search::SearchResult searched_row(const SweepRow& row) {
  MachineKnowledge knowledge;
  knowledge.cluster = profiles::load_cluster(row.cluster);
  SearchRequest request;
  request.question.world_size = row.world_size;
  request.question.seq_length = row.seq_length;
  request.question.memory = row.budget;
  request.global_batch = std::to_string(row.global_batch);
  request.num_runners_up = 0;
  return prepare_search(request, spec::load_model(row.model), knowledge).run();
}

TEST(Sweep, RowsEqualSearches) {
  SweepRequest request = sweep_of({"gpt2-tiny", "llama-tiny"});
  request.clusters = {"8xA100-40G", "8xH100"};
  request.world_sizes = {2, 4};
  request.seq_lengths = {64, 128};
  request.global_batches = {4, 6};
  request.memories = {mebibytes(1), gibibytes(3), gibibytes(40)};
  const std::vector<SweepRow> rows = run_sweep(request);
  ASSERT_EQ(rows.size(), 96u);
  EXPECT_EQ(rows.front().memory, mebibytes(1));
  EXPECT_EQ(rows[1].memory, gibibytes(3));
  EXPECT_EQ(rows[3].global_batch, 6);
  EXPECT_EQ(rows.back().model, "llama-tiny");
  int fitting = 0;
  for (const SweepRow& row : rows) {
    EXPECT_EQ(row.problem, "");
    const search::SearchResult alone = searched_row(row);
    ASSERT_EQ(row.result.best.has_value(), alone.best.has_value());
    if (alone.best) {
      ++fitting;
      EXPECT_EQ(plan_to_text(row.result.best->plan), plan_to_text(alone.best->plan));
      EXPECT_EQ(row.result.best->cost.step_time.value, alone.best->cost.step_time.value);
    } else {
      EXPECT_EQ(row.result.closest_miss->needed, alone.closest_miss->needed);
    }
  }
  EXPECT_EQ(fitting, 64);
}

TEST(Sweep, WhatWatchesItCanEndIt) {
  SweepRequest request = sweep_of({"gpt2-tiny"});
  request.global_batches.clear();
  for (int batch = 1; batch <= 200; ++batch) request.global_batches.push_back(batch);
  std::size_t most = 0;
  const auto stop = [&](std::size_t done, std::size_t) {
    most = done;
    if (done == 3) throw std::runtime_error("enough");
  };
  EXPECT_THROW(run_sweep(request, stop), std::runtime_error);
  EXPECT_LT(most, 100u);
}

TEST(Sweep, NumbersOfTheModelHoldForAllRows) {
  SweepRequest request = sweep_of({"gpt2-tiny", "llama-tiny"});
  sweep_options(request).read(Json::parse(R"({"num_layers": 6})"), "sweep");
  for (const SweepRow& row : run_sweep(request)) {
    EXPECT_EQ(row.result.best->plan.layers.size(), 8u);
  }
}

TEST(Sweep, ACombinationThatCannotBeIsARowWithItsReason) {
  SweepRequest request = sweep_of({"gpt2-tiny"});
  request.world_sizes = {4, 12};
  const std::vector<SweepRow> rows = run_sweep(request);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].problem, "");
  EXPECT_NE(rows[1].problem.find("12"), std::string::npos) << rows[1].problem;
  const std::string table = sweep_table(rows).to_text();
  EXPECT_NE(table.find(rows[1].problem), std::string::npos) << table;
  request.world_sizes = {12};
  EXPECT_EQ(config_error_of([&] { run_sweep(request); }), rows[1].problem);
}

TEST(Sweep, NamesThatNobodyKnowsEndIt) {
  EXPECT_NE(
      config_error_of([] { run_sweep(sweep_of({"gpt2-tiny", "no-model"})); }).find("no-model"),
      std::string::npos);
  EXPECT_NE(config_error_of([] { run_sweep({}); }).find("--model is missing"), std::string::npos);
  SweepRequest request = sweep_of({"gpt2-tiny"});
  request.global_batches.assign(20'000, 8);
  EXPECT_NE(config_error_of([&] { run_sweep(request); }).find("20000 combinations"),
            std::string::npos);
}

TEST(Sweep, ShowsWhatDiffers) {
  SweepRequest request = sweep_of({"gpt2-tiny"});
  request.memories = {mebibytes(1), gibibytes(40)};
  const std::vector<SweepRow> rows = run_sweep(request);
  EXPECT_EQ(sweep_title(rows), "gpt2-tiny, 8xA100-40G, 4 ranks, 128 tokens, 8 samples a step");
  const std::string table = sweep_table(rows).to_text();
  EXPECT_EQ(table.find("cluster"), std::string::npos) << table;
  EXPECT_NE(table.find("memory"), std::string::npos);
  EXPECT_NE(table.find("does not fit: "), std::string::npos);
  const Json json = Json::parse(sweep_to_json(rows).dump());
  EXPECT_EQ(json["rows"][0]["cluster"], "8xA100-40G");
  EXPECT_TRUE(json["rows"][0]["step_ms"].is_null());
  EXPECT_EQ(json["rows"][1]["step_ms"], rows[1].result.best->cost.step_time.value);
}

TEST(Sweep, DrawsALineForWhatIsSweptBesideTheLast) {
  SweepRequest request = sweep_of({"gpt2-tiny", "llama-tiny"});
  request.memories = {mebibytes(1), gibibytes(3), gibibytes(40)};
  const auto chart = sweep_chart(run_sweep(request));
  ASSERT_TRUE(chart);
  ASSERT_EQ(chart->lines.size(), 2u);
  EXPECT_EQ(chart->lines[1].name, "llama-tiny");
  EXPECT_EQ(chart->lines[1].points.size(), 2u);  // nothing fits in 1 MiB
  EXPECT_EQ(chart->x_names.size(), 3u);
  request.memories = {};
  request.clusters = {"8xA100-40G", "8xH100"};  // whose devices have other memories
  const auto clusters = sweep_chart(run_sweep(request));
  ASSERT_TRUE(clusters);
  EXPECT_EQ(clusters->x_title, "cluster");
  EXPECT_EQ(clusters->lines[0].name, "gpt2-tiny");
  request.memories = {mebibytes(1)};
  EXPECT_FALSE(sweep_chart(run_sweep(request)));
}

TEST(ParseSizes, TakesASizeAListOrARange) {
  const auto sizes = [](const char* text) { return parse_sizes(text, "--memory"); };
  EXPECT_EQ(sizes("24GiB"), (std::vector<Bytes>{gibibytes(24)}));
  EXPECT_EQ(sizes("1GiB,80GB"), (std::vector<Bytes>{gibibytes(1), Bytes{80'000'000'000}}));
  EXPECT_EQ(sizes("1GiB:4GiB:2GiB"), (std::vector<Bytes>{gibibytes(1), gibibytes(3)}));
  for (const char* text : {"1GiB:4GiB", "4GiB:1GiB:1GiB", "1GiB:2GiB:1GiB:1GiB"}) {
    EXPECT_NE(config_error_of([&] { sizes(text); }).find("--memory needs sizes"), std::string::npos)
        << text;
  }
  EXPECT_NE(config_error_of([&] { sizes("1GiB:2GiB:0"); }), "");
}

}  // namespace
}  // namespace galvatron::planning
