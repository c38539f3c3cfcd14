#include "galvatron/planning/explain.h"

#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

#include "galvatron/planning/left_out.h"
#include "galvatron/search/report.h"

namespace galvatron::planning {
namespace {

using profiles::Cluster;

struct Answered {
  PreparedSearch prepared;
  search::SearchResult result;
  Explanation explanation;

  std::string text() const { return to_text(explanation, result, prepared.options.memory); }
};

PreparedSearch prepare(const Cluster& cluster, const SearchRequest& request) {
  MachineKnowledge knowledge;
  knowledge.cluster = cluster;
  return prepare_search(request, spec::load_model("llama2-7b"), std::move(knowledge));
}

SearchRequest request_of(Bytes memory, const std::string& batch = "64") {
  SearchRequest request;
  request.question.memory = memory;
  request.question.seq_length = 2048;
  request.global_batch = batch;
  request.simplicity = 0;
  return request;
}

Answered answer(const std::string& cluster, const SearchRequest& request) {
  Answered out;
  out.prepared = prepare(profiles::load_cluster(cluster), request);
  out.result = out.prepared.run();
  out.explanation = explain(out.prepared, out.result);
  return out;
}

double searched_ms(const Cluster& cluster, const SearchRequest& request) {
  PreparedSearch prepared = prepare(cluster, request);
  prepared.options.simulate_within = 0;
  return prepared.run().best->cost.step_time.value;
}

const ShadowPrice& price_of(const Explanation& explanation, const std::string& change) {
  return *std::find_if(explanation.prices.begin(), explanation.prices.end(),
                       [&](const ShadowPrice& one) { return one.change == change; });
}

double sum_ms(const std::vector<cost::StepPart>& parts) {
  return std::accumulate(parts.begin(), parts.end(), 0.0,
                         [](double sum, const auto& one) { return sum + one.time.value; });
}

TEST(ShadowPrices, EqualSearchingTheBetterMachine) {
  for (const int gib : {14, 40}) {
    SCOPED_TRACE(gib);
    const SearchRequest request = request_of(gibibytes(gib));
    const Answered answered = answer("16xA100", request);
    const Explanation& explanation = answered.explanation;
    ASSERT_EQ(explanation.prices.size(), 4u);
    const Cluster cluster = profiles::load_cluster("16xA100");
    const auto expect_step = [&](const char* change, double ms) {
      EXPECT_NEAR(price_of(explanation, change).found.cost.step_time.value, ms, 1e-9 * ms)
          << change;
    };
    expect_step("1 GiB more memory", searched_ms(cluster, request_of(gibibytes(gib + 1))));
    expect_step("any amount of memory", searched_ms(cluster, request_of(gibibytes(4096))));
    Cluster between = cluster, inside = cluster;
    between.network.inter_node.bandwidth_bytes_per_ms *= 2;
    inside.network.intra_node.bandwidth_bytes_per_ms *= 2;
    expect_step("twice the network between nodes", searched_ms(between, request));
    expect_step("twice the links inside nodes", searched_ms(inside, request));
  }
}

TEST(ShadowPrices, NeverCostAnything) {
  const Answered answered = answer("8xA100", request_of(gibibytes(20)));
  EXPECT_EQ(answered.explanation.prices.size(), 3u);  // one node
  for (const ShadowPrice& price : answered.explanation.prices) {
    EXPECT_GE(price.gain, -1e-9) << price.change;
    EXPECT_EQ(price.same_plan,
              price.found.plan.layers == answered.result.best->plan.layers &&
                  price.found.plan.pipeline == answered.result.best->plan.pipeline &&
                  price.found.plan.num_microbatches == answered.result.best->plan.num_microbatches);
  }
}

TEST(ShadowPrices, AreThoseOfThePlanWhereNoTimeIsLeft) {
  PreparedSearch prepared = prepare(profiles::load_cluster("8xA100"), request_of(gibibytes(20)));
  const search::SearchResult result = prepared.run();
  prepared.options.time_limit = 0;
  for (const ShadowPrice& price : shadow_prices(prepared, *result.best)) {
    EXPECT_GE(price.gain, 0) << price.change;
  }
}

TEST(ShadowPrices, MeasuredCurvesGetFasterBeyondTheirLatency) {
  Answered answered;
  answered.prepared = prepare(profiles::load_cluster("8xA100"), request_of(gibibytes(20)));
  profiles::HardwareProfile& hardware = answered.prepared.question.hardware;
  const profiles::GroupShape all{8, 1};
  for (const auto kind : {profiles::Collective::kAllReduce, profiles::Collective::kAllGather,
                          profiles::Collective::kReduceScatter}) {
    hardware.tables.push_back(
        {kind, all, profiles::Curve({{1e3, 0.5}, {1e6, 1.5}, {1e9, 1000.5}})});
  }
  const search::SearchResult result = answered.prepared.run();
  const auto prices = shadow_prices(answered.prepared, *result.best);
  EXPECT_GT(prices.back().gain, 0) << prices.back().change;
}

TEST(Explain, LossesAreTheDifferenceOfTheParts) {
  const Answered answered = answer("16xA100", request_of(gibibytes(24)));
  ASSERT_FALSE(answered.result.runners_up.empty());
  for (std::size_t i = 0; i < answered.result.runners_up.size(); ++i) {
    const RunnerUpLoss& loss = answered.explanation.losses[i];
    const search::FoundPlan& other = answered.result.runners_up[i];
    const double more = (other.cost.step_time - answered.result.best->cost.step_time).value;
    EXPECT_NEAR(loss.more.value, more, 1e-9);
    // Parts below 5e-4 of the step are not told; there are at most 20 kinds.
    EXPECT_NEAR(sum_ms(loss.parts), more, 1e-2 * other.cost.step_time.value);
    EXPECT_EQ(loss.more_bytes,
              (other.cost.peak_memory() - answered.result.best->cost.peak_memory()).value);
  }
}

TEST(Explain, OtherBatchesAreComparedPerSample) {
  SearchRequest request = request_of(gibibytes(24), "32,64");
  request.num_runners_up = 12;
  const Answered answered = answer("16xA100", request);
  const auto batch = [](const search::FoundPlan& found) { return found.plan.global_batch; };
  const auto& others = answered.result.runners_up;
  const auto other = std::find_if(others.begin(), others.end(), [&](const auto& one) {
    return batch(one) != batch(*answered.result.best);
  });
  ASSERT_NE(other, others.end());
  const RunnerUpLoss& loss =
      answered.explanation.losses[static_cast<std::size_t>(other - others.begin())];
  const double more = other->ms_per_sample() - answered.result.best->ms_per_sample();
  EXPECT_NEAR(loss.more.value, more * static_cast<double>(batch(*answered.result.best)), 1e-6);
  EXPECT_NE(answered.text().find("more per sample"), std::string::npos) << answered.text();
}

TEST(Explain, PartsAreOfThePlansStep) {
  const Answered answered = answer("8xA100", request_of(gibibytes(24)));
  const double step = answered.result.best->cost.step_time.value;
  EXPECT_NEAR(sum_ms(answered.explanation.parts), step, 1e-6 * step);
  EXPECT_TRUE(std::is_sorted(answered.explanation.parts.rbegin(), answered.explanation.parts.rend(),
                             [](const auto& a, const auto& b) { return a.time < b.time; }));
}

TEST(Explain, SaysThatComputingBindsWhereNothingElseWouldHelp) {
  SearchRequest request = request_of(gibibytes(80), "8");
  request.question.world_size = 1;
  request.question.memory = gibibytes(400);
  const Answered answered = answer("8xA100", request);
  EXPECT_EQ(what_binds(answered.explanation),
            "computing binds: neither more memory nor faster links would give 0.1 %");
}

TEST(Explain, TextHasEverything) {
  const Answered answered = answer("16xA100", request_of(gibibytes(20)));
  const std::string text = answered.text();
  for (const char* words :
       {"what binds: ", "memory: stage ", "computing", "one thing better, searched again",
        "1 GiB more memory", "twice the network between nodes", "runner-ups",
        "more: ", "certificate", "what this space leaves out",
        "cp_degree above 1: not supported yet", "schedule zb-h1"}) {
    EXPECT_NE(text.find(words), std::string::npos) << words << "\n" << text;
  }
  const OrderedJson json = explanation_to_json(answered.explanation);
  EXPECT_EQ(json["shadow_prices"].size(), 4u);
  EXPECT_EQ(json["runners_up"].size(), answered.result.runners_up.size());
  EXPECT_EQ(json["binds"], what_binds(answered.explanation));
}

TEST(LeftOut, NamesTheConstraintsAndWhatApplies) {
  SearchRequest request = request_of(gibibytes(40));
  const auto phrases = [&](const char* cluster) {
    const auto out = left_out(prepare(profiles::load_cluster(cluster), request));
    return std::accumulate(
        out.begin(), out.end(), std::string(),
        [](const std::string& all, const std::string& one) { return all + one + "\n"; });
  };
  const std::string free = phrases("8xA100");
  EXPECT_EQ(free.find("constraints"), std::string::npos);
  EXPECT_EQ(free.find("TP ranks apart inside one node"), std::string::npos);
  request.allow = {"tp_degree<=2"};
  request.forbid = {"recompute=full"};
  request.num_microbatches = 4;
  const std::string bound = phrases("16xA100");
  EXPECT_NE(bound.find("what your constraints exclude: tp_degree, recompute, num_microbatches"),
            std::string::npos)
      << bound;
  EXPECT_NE(bound.find("TP ranks apart inside one node"), std::string::npos);
  EXPECT_EQ(bound.find("--num-microbatches names one"), std::string::npos);
}

}  // namespace
}  // namespace galvatron::planning
