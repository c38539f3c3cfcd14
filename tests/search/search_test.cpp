#include "galvatron/search/search.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "galvatron/plan/check_plan.h"
#include "galvatron/profiles/analytic.h"

namespace galvatron::search {
namespace {

// A model on a data-sheet cluster.
struct Example {
  spec::ModelSpec model;
  spec::JobSpec job;
  profiles::HardwareProfile hardware;
  profiles::ModelProfile profile;

  Example(const std::string& name, int world_size, std::int64_t global_batch,
          std::int64_t seq_length)
      : model(spec::load_model(name)) {
    job = {seq_length, global_batch, spec::Precision::kBf16};
    spec::ClusterSpec cluster;
    cluster.devices_per_node = std::min(world_size, 8);
    cluster.num_nodes = world_size / cluster.devices_per_node;
    const profiles::DeviceSpec device{"a100", 312e9, 0.5, 1.5e9, 0.02};
    const profiles::NetworkSpec network{{0.01, 250e6}, {0.02, 20e6}, 1.1, gibibytes(1)};
    hardware = profiles::analytic_hardware_profile(cluster, device, network);
    profile = profiles::analytic_model_profile(model, seq_length, job.precision, device);
  }
  cost::CostInputs inputs() const { return {model, job, hardware, profile}; }
};

TEST(Search, FindsAPlanThatFits) {
  const Example example("gpt2", 8, 16, 512);
  SearchOptions options;
  options.memory = gibibytes(8);
  const SearchResult result = search_best_plan(example.inputs(), options);
  ASSERT_TRUE(result.best);
  EXPECT_LE(result.best->cost.peak_memory(), options.memory);
  EXPECT_EQ(plan::check_plan(result.best->plan, example.model, {8, 512}), std::nullopt);
}

TEST(Search, SaysWhatTheLeanestPlanNeeds) {
  const Example example("gpt2-1.5b", 8, 16, 512);
  SearchOptions options;
  options.memory = mebibytes(1100);
  const SearchResult result = search_best_plan(example.inputs(), options);
  EXPECT_FALSE(result.best);
  ASSERT_TRUE(result.closest_miss);
  // With exactly that much there is a plan, with one byte less there is none.
  options.memory = result.closest_miss->needed;
  EXPECT_TRUE(search_best_plan(example.inputs(), options).best);
  options.memory.value -= 1;
  EXPECT_FALSE(search_best_plan(example.inputs(), options).best);
}

TEST(Search, Show) {
  if (!::getenv("SHOW")) GTEST_SKIP();
  struct {
    const char* model;
    int world;
    int batch;
    int seq;
    int gib;
  } cases[] = {{"gpt2", 8, 16, 512, 2},        {"gpt2", 8, 16, 512, 8},
               {"gpt2-1.5b", 8, 64, 1024, 16}, {"llama2-7b", 8, 64, 2048, 36},
               {"llama2-7b", 8, 64, 2048, 24}, {"llama2-7b", 64, 256, 2048, 24}};
  for (const auto& one : cases) {
    const Example example(one.model, one.world, one.batch, one.seq);
    SearchOptions options;
    options.memory = gibibytes(one.gib);
    const SearchResult result = search_best_plan(example.inputs(), options);
    fmt::print("== {} {} ranks batch {} {} GiB\n", one.model, one.world, one.batch, one.gib);
    if (result.best) {
      fmt::print("  {}\n{}\n", plan::summarize(result.best->plan),
                 cost::plan_cost_table(result.best->cost, result.best->plan, options.memory));
    } else {
      fmt::print("  nothing fits: needs {}\n", to_text(result.closest_miss->needed));
    }
    fmt::print("{}", to_text(result.certificate));
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace galvatron::search
