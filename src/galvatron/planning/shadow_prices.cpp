#include "galvatron/planning/shadow_prices.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "galvatron/base/table.h"
#include "galvatron/search/report.h"

namespace galvatron::planning {
namespace {

constexpr double kFaster = 2;

// Its time beyond the latency divided by kFaster.
profiles::Curve faster(const profiles::Curve& curve) {
  const double intercept = curve.line().intercept;
  if (curve.points().empty()) {
    return profiles::Curve(profiles::Line{intercept, curve.line().slope / kFaster});
  }
  std::vector<profiles::CurvePoint> points = curve.points();
  for (profiles::CurvePoint& point : points) {
    const double latency = std::min(intercept, point.y);
    point.y = latency + (point.y - latency) / kFaster;
  }
  return profiles::Curve(std::move(points));
}

void make_links_faster(profiles::HardwareProfile& hardware, bool between_nodes) {
  const auto link = hardware.links.find(between_nodes ? "inter_node" : "intra_node");
  if (link != hardware.links.end()) link->second.bandwidth_bytes_per_ms *= kFaster;
  for (profiles::CollectiveTable& table : hardware.tables) {
    if (hardware.crosses_nodes(table.shape) == between_nodes) table.curve = faster(table.curve);
  }
}

bool has_several_nodes(const Question& question) { return question.hardware.num_nodes() > 1; }
bool has_links_in_nodes(const Question& question) { return question.hardware.ranks_on_node() > 1; }
bool always(const Question&) { return true; }

// A thing that can be had more of.
struct Improvement {
  const char* change;
  bool (*applies)(const Question& question);
  void (*apply)(PreparedSearch& prepared);
};

constexpr std::array kImprovements{
    Improvement{"1 GiB more memory", &always,
                [](PreparedSearch& prepared) { prepared.options.memory += gibibytes(1); }},
    Improvement{"any amount of memory", &always,
                [](PreparedSearch& prepared) { prepared.options.memory = search::kAnyMemory; }},
    Improvement{
        "twice the network between nodes", &has_several_nodes,
        [](PreparedSearch& prepared) { make_links_faster(prepared.question.hardware, true); }},
    Improvement{"twice the links inside nodes", &has_links_in_nodes, [](PreparedSearch& prepared) {
                  make_links_faster(prepared.question.hardware, false);
                }}};

// "4 stages, 16 microbatches; 60 of 82 layers zero3": the pipeline and the strategy of most layers.
std::string main_text(const plan::Plan& plan) {
  const auto count = [&](const plan::LayerStrategy& strategy) {
    return std::count(plan.layers.begin(), plan.layers.end(), strategy);
  };
  const auto most =
      std::max_element(plan.layers.begin(), plan.layers.end(),
                       [&](const auto& a, const auto& b) { return count(a) < count(b); });
  return fmt::format("{}; {} of {} layers {}", search::shape_text(plan), count(*most),
                     plan.layers.size(), plan::to_text(*most));
}

bool same_plan(const plan::Plan& a, const plan::Plan& b) {
  return a.global_batch == b.global_batch && a.num_microbatches == b.num_microbatches &&
         a.pipeline == b.pipeline && a.layers == b.layers;
}

// The better machine can train the plan that was found as well; a search that ends early, or takes
// a simpler plan for a slower step, may come back with less than that.
search::FoundPlan at_least(const PreparedSearch& improved, search::SearchResult result,
                           const search::FoundPlan& best) {
  search::FoundPlan same = best;
  same.cost = cost::estimate(improved.question.inputs(best.plan.global_batch), best.plan);
  const bool gained = result.best && result.best->ms_per_sample() < same.ms_per_sample();
  return gained ? std::move(*result.best) : same;
}

}  // namespace

std::vector<ShadowPrice> shadow_prices(const PreparedSearch& prepared,
                                       const search::FoundPlan& best) {
  std::vector<ShadowPrice> out;
  for (const Improvement& improvement : kImprovements) {
    if (!improvement.applies(prepared.question)) continue;
    PreparedSearch improved = prepared;
    improved.options.num_runners_up = 0;
    improved.options.simulate_within = 0;
    improvement.apply(improved);
    ShadowPrice& price = out.emplace_back(
        ShadowPrice{improvement.change, at_least(improved, improved.run(), best), 0, false});
    price.gain = best.ms_per_sample() / price.found.ms_per_sample() - 1;
    price.same_plan = same_plan(best.plan, price.found.plan);
  }
  return out;
}

ShadowPriceTexts texts_of(const ShadowPrice& price) {
  const search::FoundPlan& found = price.found;
  return {price.change, galvatron::to_text(found.cost.step_time),
          fmt::format("{:+.2f} %", 100 * price.gain), galvatron::to_text(found.cost.peak_memory()),
          price.same_plan ? "the same" : main_text(found.plan)};
}

std::string to_text(const std::vector<ShadowPrice>& prices) {
  TextTable table({"with", "step", "tokens/s", "memory", "plan"});
  table.align(4, TextTable::Align::kLeft);
  for (const ShadowPrice& price : prices) {
    const ShadowPriceTexts texts = texts_of(price);
    table.add_row({texts.change, texts.step, texts.gain, texts.memory, texts.plan});
  }
  return table.to_string();
}

}  // namespace galvatron::planning
