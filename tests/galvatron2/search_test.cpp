#include "galvatron/galvatron2/search.h"

#include <gtest/gtest.h>

#include "config_error.h"
#include "galvatron2/recorded_case.h"

namespace galvatron::galvatron2 {
namespace {

TEST(Search, ReachesTheBestKnownOfEveryCase) {
  const auto files = case_files();
  EXPECT_EQ(files.size(), 15u);
  for (const auto& file : files) {
    const RecordedCase recorded(file);
    const SearchOptions options = question(recorded);
    const auto result = search_best_plan(options, recorded.profiles);
    ASSERT_TRUE(result.best) << file;
    const double ours = result.best->score.samples_per_second;
    const double known = recorded.json["best_known"];
    EXPECT_NEAR(ours, known, 1e-9 * known) << file;
    EXPECT_GE(ours, double(recorded.json["upstream"]["throughput"]) * (1 - 1e-12)) << file;
    EXPECT_EQ(result.certificate.gap(), 0) << file;
    const double limit = limit_mb(options.memory);
    for (const double mb : result.best->score.stage_mb) EXPECT_LE(mb, limit) << file;
    // What it found is what its plan file says.
    const auto again = plan_from_json(plan_to_json(result.best->plan), file.string());
    EXPECT_EQ(again, result.best->plan) << file;
    EXPECT_EQ(score(options.job, recorded.profiles, again).samples_per_second, ours) << file;
  }
}

// Strategies of a layer for so many ranks and samples, as Galvatron-2 has them.
std::vector<Strategy> all_strategies(int ranks, std::int64_t samples, int max_tp, int max_ulysses,
                                     bool vocabulary) {
  std::vector<Strategy> out;
  for (const bool ulysses : {false, true}) {
    for (int degree = ulysses ? 2 : 1; degree <= ranks; degree *= 2) {
      const int dp = ranks / degree;
      if (degree > (ulysses ? max_ulysses : max_tp) || samples % dp != 0) continue;
      for (const bool zero3 : {false, true}) {
        if (zero3 && dp == 1) continue;
        out.push_back({degree, ulysses, zero3, false});
        if (!vocabulary) out.push_back({degree, ulysses, zero3, true});
      }
    }
  }
  return out;
}

struct Exhausted {
  double best = 0;  // samples per second
  int transitions = 0;
};

// Every plan of the options' batch and microbatch count, scored one by one.
Exhausted exhaust(const SearchOptions& options, const Profiles& profiles) {
  Exhausted out;
  const double limit = limit_mb(options.memory);
  Plan plan;
  plan.world_size = options.job.world_size;
  plan.global_batch = options.global_batches.front();
  plan.num_microbatches = options.num_microbatches;
  plan.schedule = options.job.schedule;
  const auto layers = static_cast<std::size_t>(options.job.num_layers);
  const std::int64_t samples = plan.global_batch / plan.num_microbatches;
  for (int p = 1; p <= std::min(options.max_pp, plan.num_microbatches); p *= 2) {
    plan.pp_degree = p;
    plan.layers_per_stage = default_stages(options.job.num_layers, p);
    const int ranks = plan.ranks_per_stage();
    const auto of_layer =
        all_strategies(ranks, samples, options.max_tp, options.max_ulysses, false);
    const auto of_vocabulary =
        all_strategies(ranks, samples, options.max_tp, options.max_ulysses, true);
    if (of_layer.empty()) continue;
    std::vector<std::size_t> picked(layers, 0);
    for (bool done = false; !done;) {
      plan.layers.clear();
      for (const std::size_t one : picked) plan.layers.push_back(of_layer[one]);
      for (const Strategy& vocabulary : of_vocabulary) {
        plan.vocabulary = vocabulary;
        const Score score = galvatron2::score(options.job, profiles, plan);
        if (*std::max_element(score.stage_mb.begin(), score.stage_mb.end()) > limit) continue;
        const int transitions = count_transitions(plan);
        const double rounding = 1e-10 * score.samples_per_second;
        if (score.samples_per_second < out.best - rounding) continue;
        const bool better = score.samples_per_second > out.best + rounding;
        if (better || transitions < out.transitions) out.transitions = transitions;
        out.best = std::max(out.best, score.samples_per_second);
      }
      std::size_t i = 0;
      while (i < layers && ++picked[i] == of_layer.size()) picked[i++] = 0;
      done = i == layers;
    }
  }
  return out;
}

TEST(Search, EqualsEveryPlanScored) {
  const RecordedCase recorded(case_files().front());
  SearchOptions options = question(recorded);
  options.job.num_layers = 3;
  options.max_tp = 4;
  options.max_ulysses = 2;
  options.max_pp = 2;
  int found = 0, infeasible = 0;
  for (const auto& [batch, m] : {std::pair{16, 1}, {16, 2}, {32, 4}}) {
    options.global_batches = {batch};
    options.num_microbatches = m;
    for (const std::int64_t mib : {1200, 3600, 4200, 5000, 6000, 9000}) {
      SCOPED_TRACE(testing::Message() << batch << " / " << m << " in " << mib << " MiB");
      options.memory = mebibytes(mib);
      const Exhausted truth = exhaust(options, recorded.profiles);
      const auto result = search_best_plan(options, recorded.profiles);
      ASSERT_EQ(result.best.has_value(), truth.best > 0);
      (result.best ? found : infeasible) += 1;
      if (!result.best) continue;
      EXPECT_NEAR(result.best->score.samples_per_second, truth.best, 1e-9 * truth.best);
      EXPECT_EQ(count_transitions(result.best->plan), truth.transitions);
      EXPECT_EQ(result.certificate.gap(), 0);
    }
  }
  EXPECT_GT(found, 6);
  EXPECT_GT(infeasible, 2);
}

TEST(Search, SaysWhatTheLeanestPlanNeeds) {
  const RecordedCase recorded(case_files().front());
  SearchOptions options = question(recorded);
  for (const std::int64_t gib : {1, 4}) {
    options.memory = gibibytes(gib);
    const auto result = search_best_plan(options, recorded.profiles);
    EXPECT_FALSE(result.best);
    ASSERT_TRUE(result.closest_miss);
    options.memory = result.closest_miss->budget_needed;
    EXPECT_TRUE(search_best_plan(options, recorded.profiles).best);
    options.memory.value -= mebibytes(1).value;
    EXPECT_FALSE(search_best_plan(options, recorded.profiles).best);
  }
}

TEST(Search, MoreIsNeverWorse) {
  const RecordedCase recorded(case_files().front());
  SearchOptions options = question(recorded);
  double before = 0;
  // Without the step at 20 GB, where its reserve begins.
  for (std::int64_t gib = 6; gib <= 20; gib += 2) {
    options.memory = gibibytes(gib);
    const auto result = search_best_plan(options, recorded.profiles);
    if (!result.best) continue;
    EXPECT_GE(result.best->score.samples_per_second, before * (1 - 1e-12)) << gib;
    before = result.best->score.samples_per_second;
  }
  before = 0;
  options.memory = gibibytes(16);
  for (const int degree : {1, 2, 4, 8}) {
    options.max_tp = options.max_ulysses = options.max_pp = degree;
    const auto result = search_best_plan(options, recorded.profiles);
    if (!result.best) continue;
    EXPECT_GE(result.best->score.samples_per_second, before * (1 - 1e-12)) << degree;
    before = result.best->score.samples_per_second;
  }
  EXPECT_GT(before, 0);
}

TEST(Search, RefusesWhatNoPlanCanMeet) {
  const RecordedCase recorded(case_files().front());
  const SearchOptions good = question(recorded);
  const auto message = [&](auto change) {
    SearchOptions options = good;
    change(options);
    return config_error_of([&] { search_best_plan(options, recorded.profiles); });
  };
  EXPECT_NE(message([](auto& one) { one.job.world_size = 6; }).find("6 is no power of two"),
            std::string::npos);
  EXPECT_NE(message([](auto& one) { one.job.num_layers = 0; }).find("--num-layers 0"),
            std::string::npos);
  EXPECT_NE(message([](auto& one) { one.max_tp = -1; }).find("--max-tp -1"), std::string::npos);
  EXPECT_NE(message([](auto& one) { one.memory = {}; }).find("--memory"), std::string::npos);
  EXPECT_NE(message([](auto& one) { one.num_microbatches = -2; }).find("-2"), std::string::npos);
  const std::string odd = message([](auto& one) {
    one.global_batches = {7};
    one.max_tp = one.max_ulysses = one.max_pp = 1;
  });
  EXPECT_NE(odd.find("--global-batch 7"), std::string::npos) << odd;
  // Degrees that the profile does not have.
  const std::string wide = message([](auto& one) {
    one.job.world_size = 64;
    one.global_batches = {64};
    one.max_tp = 64;
  });
  EXPECT_NE(wide.find("is missing"), std::string::npos) << wide;
}

}  // namespace
}  // namespace galvatron::galvatron2
