#include "galvatron/views/timeline_view.h"

#include <gtest/gtest.h>

#include "galvatron/views/event_table.h"

#include "config_error.h"
#include "views/views_testing.h"

namespace galvatron::views {
namespace {

struct Row {
  std::string kind, row;
  double start = 0, end = 0, hidden = 0;
};
std::vector<Row> rows_of(const OrderedJson& view) {
  std::vector<Row> out;
  const OrderedJson& events = view["events"];
  for (std::size_t i = 0; i < events["row"].size(); ++i) {
    out.push_back({view["kinds"][events["kind"][i].get<std::size_t>()],
                   view["rows"][events["row"][i].get<std::size_t>()]["name"], events["start_ms"][i],
                   events["end_ms"][i], events["hidden_ms"][i]});
  }
  return out;
}
double sum_of(const std::vector<Row>& rows, const std::string& kind) {
  double sum = 0;
  for (const Row& row : rows) {
    if (row.kind == kind) sum += row.end - row.start;
  }
  return sum;
}

TEST(TimelineView, DrawsWhatIsComputedAgainBeforeItsBackward) {
  const PlanAnswer answer = answer_gpt2(gpt2_plan({.recompute = plan::Recompute::kFull}, 2));
  const cost::PlanCost& cost = answer.priced->cost;
  const std::vector<Row> rows = rows_of(timeline_view(cost.timeline));
  double again = 0;
  for (const cost::LayerRow& layer : cost.layers) again += 4 * layer.time.recompute.value;
  EXPECT_GT(again, 0);
  // The last microbatch's runs beside reductions, which slow it.
  const double slowdown = answer.priced->question.hardware.overlap_slowdown,
               drawn = sum_of(rows, "recompute");
  EXPECT_GE(drawn, again * (1 - 1e-9));
  EXPECT_LE(drawn, again * (3 + slowdown) / 4);
  double busy = 0;
  for (const Milliseconds rank : cost.timeline.busy) busy += rank.value;
  EXPECT_NEAR(sum_of(rows, "forward") + sum_of(rows, "backward") + drawn, busy, 1e-9 * busy);
}

// What computes, what it waits for in its collectives, and bubbles.
TEST(TimelineView, EachRankIsFullFromBeginningToEnd) {
  const PlanAnswer answer = answer_gpt2(gpt2_plan({}, 4));
  const OrderedJson view = timeline_view(answer.priced->cost.timeline);
  const double total = view["total_ms"];
  for (int rank = 0; rank < 4; ++rank) {
    const std::string name = "rank " + std::to_string(rank);
    double sum = 0;
    for (const Row& row : rows_of(view)) {
      if (row.row == name) sum += row.end - row.start;
      if (row.row == name + " collectives") sum += row.end - row.start - row.hidden;
    }
    EXPECT_NEAR(sum, total, 1e-4 * total);
  }
  EXPECT_EQ(view["busy_ms"].size(), 4u);
}

TEST(TimelineView, CommunicationBesideComputeIsHidden) {
  const PlanAnswer answer = answer_gpt2(gpt2_plan({.zero_stage = 3}));
  const std::vector<Row> rows = rows_of(timeline_view(answer.priced->cost.timeline));
  double hidden = 0;
  for (const Row& row : rows) {
    EXPECT_GE(row.hidden, 0);
    EXPECT_LE(row.hidden, row.end - row.start + 1e-9);
    if (row.kind == "gather") {
      EXPECT_EQ(row.row, "rank 0 collectives");
      hidden += row.hidden;
    }
  }
  EXPECT_GT(hidden, 0);
  EXPECT_LT(hidden, sum_of(rows, "gather"));  // the first one is waited for
}

TEST(TimelineView, OfALargeStepShowsBeginningAndEnd) {
  const PlanAnswer answer = answer_gpt2(gpt2_plan({}, 4, 16));
  const OrderedJson whole = timeline_view(answer.priced->cost.timeline);
  EXPECT_TRUE(whole["left_out_ms"].is_null());
  const OrderedJson view = timeline_view(answer.priced->cost.timeline, 51);
  EXPECT_EQ(view["num_events"], whole["num_events"]);
  EXPECT_EQ(view["events"]["row"].size(), 51u);
  EXPECT_EQ(view["events"]["start_ms"][25], whole["events"]["start_ms"][25]);
  EXPECT_EQ(view["left_out_ms"][0], whole["events"]["start_ms"][26]);
  EXPECT_EQ(view["events"]["end_ms"].back(), whole["events"]["end_ms"].back());
  EXPECT_EQ(view["left_out_ms"][1], view["events"]["start_ms"][26]);
}

TEST(TimelineView, OfSomeRanksHasAllOfTheirEvents) {
  const PlanAnswer answer = answer_gpt2(gpt2_plan({}, 4, 16));
  const cost::Timeline& timeline = answer.priced->cost.timeline;
  const OrderedJson whole = timeline_view(timeline);
  const OrderedJson some = timeline_view(timeline, kMostTimelineEvents, Range{1, 3});
  EXPECT_EQ(some["rows"][0]["name"], "rank 1");
  EXPECT_EQ(some["rows"].back()["pp_rank"], 2);
  EXPECT_EQ(some["busy_ms"], whole["busy_ms"]);
  const auto of_rank = [](const OrderedJson& view, const std::string& name) {
    std::vector<std::tuple<std::string, double, double>> out;
    for (const Row& row : rows_of(view)) {
      if (row.row.starts_with(name)) out.emplace_back(row.kind, row.start, row.end);
    }
    return out;
  };
  EXPECT_EQ(of_rank(some, "rank 1"), of_rank(whole, "rank 1"));
  EXPECT_EQ(of_rank(some, "rank 2"), of_rank(whole, "rank 2"));
  EXPECT_TRUE(of_rank(some, "rank 0").empty());
  EXPECT_EQ(some["num_events"], some["events"]["row"].size());
  for (const Range wrong : {Range{3, 5}, Range{2, 2}, Range{-1, 1}}) {
    EXPECT_NE(config_error_of([&] {
                timeline_view(timeline, 9, wrong);
              }).find("the plan's 4 pipeline ranks"),
              std::string::npos);
  }
}

TEST(BusyTimes, GapsAreWhatIsNotBusy) {
  BusyTimes times;
  times.add({1}, {2});
  times.add({2}, {3});
  times.add({5}, {6});
  EXPECT_EQ(times.within({0}, {10}), Milliseconds{3});
  EXPECT_EQ(times.within({2.5}, {5.5}), Milliseconds{1});
  EXPECT_EQ(times.within({3}, {5}), Milliseconds{0});
  const auto gaps = times.gaps({0}, {10});
  ASSERT_EQ(gaps.size(), 3u);
  EXPECT_EQ(gaps[1].start, Milliseconds{3});
  EXPECT_EQ(gaps[1].end, Milliseconds{5});
  EXPECT_TRUE(times.gaps({1}, {3}).empty());
}

}  // namespace
}  // namespace galvatron::views
