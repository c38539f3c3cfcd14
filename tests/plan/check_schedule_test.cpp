#include "galvatron/plan/check_schedule.h"

#include <algorithm>
#include <functional>

#include <gtest/gtest.h>

namespace galvatron::plan {
namespace {

using Lists = std::vector<std::vector<Step>>;

struct Lowered {
  Lists lists;
  ScheduleContext context;
};

// Stages of `layers` layers each, every third with another layout in front; units of every kind, a
// weight that the first and the last layer share among them.
RankParts make_parts(const ScheduleShape& shape, int rank, int layers, bool recomputes_loss) {
  RankParts parts;
  const int num_layers = shape.num_stages() * layers;
  for (int layer = 0; layer < num_layers; ++layer) {
    parts.changes_layout.push_back(layer % 3 == 2);
  }
  UnitTraffic shared{{}, true, true, ""};
  for (int chunk = 0; chunk < shape.stages_per_rank; ++chunk) {
    const int first = shape.stage(rank, chunk) * layers;
    parts.layers.push_back({first, first + layers});
    for (int layer = first; layer < first + layers; ++layer) {
      const int zero_stage = layer % 4;
      parts.units.push_back({{layer}, zero_stage == 3, zero_stage >= 2, ""});
      if (layer % 5 == 1) parts.units.push_back({{layer}, false, false, ""});
      if (layer == 0 || layer == num_layers - 1) shared.layers.push_back(layer);
    }
  }
  if (!shared.layers.empty()) {
    if (shape.pp_degree > 1) shared.tie = "shared weight";
    parts.units.push_back(shared);
  }
  const bool has_last = parts.layers.back().end == num_layers;
  if (has_last && recomputes_loss) parts.loss_layer = num_layers - 1;
  return parts;
}

Lowered lowered(ScheduleKind kind, const ScheduleShape& shape, int layers) {
  Lowered out;
  out.context.shape = shape;
  const Lists compute = make_schedules(kind, shape);
  for (int rank = 0; rank < shape.pp_degree; ++rank) {
    const auto& list = compute[static_cast<std::size_t>(rank)];
    out.context.parts.push_back(make_parts(shape, rank, layers, layers != 2));
    out.context.most_in_flight.push_back(max_in_flight(list));
    out.lists.push_back(lower(list, rank, shape.pp_degree, out.context.parts.back()));
  }
  return out;
}

Lists of_whole_stages(ScheduleKind kind, const ScheduleShape& shape) {
  Lists lists = make_schedules(kind, shape);
  for (int rank = 0; rank < shape.pp_degree; ++rank) {
    auto& list = lists[static_cast<std::size_t>(rank)];
    list = add_transfers(list, rank, shape.pp_degree, shape.stages_per_rank);
  }
  return lists;
}

void for_each_shape(int most_microbatches,
                    const std::function<void(const ScheduleTraits&, const ScheduleShape&)>& run) {
  for (const ScheduleTraits& schedule : schedules()) {
    for (int ranks = 1; ranks <= 6; ++ranks) {
      for (int per_rank = 1; per_rank <= (schedule.several_stages() ? 4 : 1); ++per_rank) {
        for (int m = 1; m <= most_microbatches; ++m) {
          SCOPED_TRACE(testing::Message() << schedule.name << ", " << ranks << " ranks, "
                                          << per_rank << " stages each, " << m << " microbatches");
          run(schedule, {ranks, m, per_rank});
        }
      }
    }
  }
}

TEST(CheckSchedule, AcceptsEverySchedule) {
  for_each_shape(25, [](const ScheduleTraits& schedule, const ScheduleShape& shape) {
    EXPECT_EQ(check_schedule(of_whole_stages(schedule.kind, shape), {shape, {}, {}}), std::nullopt);
  });
}

TEST(CheckSchedule, AcceptsEveryScheduleLowered) {
  for_each_shape(9, [](const ScheduleTraits& schedule, const ScheduleShape& shape) {
    for (const int layers : {1, 2, 3}) {
      const Lowered made = lowered(schedule.kind, shape, layers);
      EXPECT_EQ(check_schedule(made.lists, made.context), std::nullopt) << layers << " layers";
    }
  });
}

std::vector<Lowered> examples() {
  std::vector<Lowered> out;
  for (const ScheduleTraits& schedule : schedules()) {
    out.push_back(lowered(schedule.kind, {2, 3, schedule.usual_stages_per_rank}, 3));
    out.push_back(lowered(schedule.kind, {3, 4, schedule.usual_stages_per_rank}, 1));
  }
  return out;
}

TEST(CheckSchedule, RefusesAListWithoutAnyOneStep) {
  for (const Lowered& made : examples()) {
    for (std::size_t rank = 0; rank < made.lists.size(); ++rank) {
      for (std::size_t i = 0; i < made.lists[rank].size(); ++i) {
        Lists lists = made.lists;
        lists[rank].erase(lists[rank].begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_NE(check_schedule(lists, made.context), std::nullopt)
            << "without step " << i << " of " << to_text(made.lists[rank]);
      }
    }
  }
}

TEST(CheckSchedule, RefusesAListWithAnyStepTwice) {
  for (const Lowered& made : examples()) {
    for (std::size_t rank = 0; rank < made.lists.size(); ++rank) {
      for (std::size_t i = 0; i < made.lists[rank].size(); ++i) {
        Lists lists = made.lists;
        lists[rank].insert(lists[rank].begin() + static_cast<std::ptrdiff_t>(i), lists[rank][i]);
        EXPECT_NE(check_schedule(lists, made.context), std::nullopt)
            << "with step " << i << " twice of " << to_text(made.lists[rank]);
      }
    }
  }
}

// --- one sentence each ---

// Two pipeline ranks, two microbatches, one layer each: the first tied and gathered, the second not
// sharded.
class Tiny {
 public:
  Tiny() {
    made_.context.shape = {2, 2, 1};
    made_.context.parts = {{{{0, 1}}, {{{0}, true, true, "table"}}, {false, false}, -1},
                           {{{1, 2}}, {{{1}, false, false, "table"}}, {false, false}, 1}};
    for (int rank = 0; rank < 2; ++rank) {
      made_.lists.push_back(lower(make_schedule(ScheduleKind::k1F1B, rank, 2, 2), rank, 2,
                                  made_.context.parts[static_cast<std::size_t>(rank)]));
    }
  }
  const Lists& lists() const { return made_.lists; }

  std::string without(std::size_t rank, const std::string& step) const {
    return changed(rank, step, [](auto& list, auto at) { list.erase(at); });
  }
  std::string twice(std::size_t rank, const std::string& step) const {
    return changed(rank, step, [](auto& list, auto at) { list.insert(at, Step(*at)); });
  }
  // `step` and the one `by` steps later change places.
  std::string swapped(std::size_t rank, const std::string& step, int by = 1) const {
    return changed(rank, step, [&](auto&, auto at) { std::swap(*at, *(at + by)); });
  }
  template <typename Change>
  std::string changed(std::size_t rank, const std::string& step, Change change,
                      std::vector<int> most_in_flight = {}) const {
    Lists lists = made_.lists;
    auto& list = lists[rank];
    const auto at = std::find_if(list.begin(), list.end(),
                                 [&](const Step& one) { return to_text(one) == step; });
    EXPECT_NE(at, list.end()) << step << " in " << to_text(list);
    change(list, at);
    ScheduleContext context = made_.context;
    context.most_in_flight = std::move(most_in_flight);
    return check_schedule(lists, context).value_or("");
  }

 private:
  Lowered made_;
};

TEST(CheckSchedule, TheTinyLists) {
  EXPECT_EQ(to_text(Tiny().lists()[0]),
            "G:0 F0:0 X:0 G:0 sA0 pG0 F1:0 X:0 G:0 sA1 pG1 rG0 B0:0 X:0 A0:0 R0:0 wR:0 G:0 rG1 "
            "B1:0 X:0 A1:0 R1:0 wR:0 T:0");
  EXPECT_EQ(to_text(Tiny().lists()[1]),
            "pA0 rA0 F0:1 pA1 B0:1 A0:1 sG0 rA1 F1:1 B1:1 A1:1 R:0 sG1 wR:0 T:0");
}

TEST(CheckSchedule, SaysWhatIsWrongWithTheWayThroughAStage) {
  const Tiny tiny;
  EXPECT_EQ(tiny.without(0, "F1:0"), "pipeline rank 0: sA1 stands where F1:0 is due");
  EXPECT_EQ(tiny.twice(1, "F1:1"), "pipeline rank 1: F1:1 stands where rA1 is due");
  EXPECT_EQ(tiny.without(1, "rA1"), "pipeline rank 1: F1:1 stands where rA1 is due");
  EXPECT_EQ(tiny.without(0, "pG1"), "pipeline rank 0: rG1 was not posted before");
  EXPECT_EQ(tiny.without(1, "sG0"), "pipeline rank 1: rA1 stands where sG0 is due");
  EXPECT_EQ(tiny.swapped(1, "F1:1"), "pipeline rank 1: B1:1 stands where F1:1 is due");
}

TEST(CheckSchedule, SaysWhatIsWrongWithParameters) {
  const Tiny tiny;
  EXPECT_EQ(tiny.without(0, "G:0"), "pipeline rank 0: F0:0 needs unit 0, which is not gathered");
  EXPECT_EQ(tiny.twice(0, "G:0"), "pipeline rank 0: G:0 gathers what is there");
  EXPECT_EQ(tiny.without(0, "X:0"), "pipeline rank 0: G:0 gathers what is there");
  EXPECT_EQ(tiny.twice(0, "X:0"), "pipeline rank 0: X:0 frees what is not gathered");
}

TEST(CheckSchedule, SaysWhatIsWrongWithGradients) {
  const Tiny tiny;
  EXPECT_EQ(tiny.without(1, "A0:1"), "pipeline rank 1: R:0 reduces 1 of 2 gradients");
  EXPECT_EQ(tiny.twice(1, "A0:1"), "pipeline rank 1: A0:1 adds gradients that nothing made");
  EXPECT_EQ(tiny.without(0, "R0:0"), "pipeline rank 0: wR:0 waits for no reduction");
  EXPECT_EQ(tiny.twice(1, "R:0"), "pipeline rank 1: R:0 starts while one is under way");
  EXPECT_EQ(tiny.without(1, "wR:0"),
            "pipeline rank 1: T:0 ties gradients that are not whole, or not tied, or tied before");
  EXPECT_EQ(tiny.without(1, "T:0"), "pipeline rank 1: unit 0 is never tied to its copies");
}

TEST(CheckSchedule, SaysWhenMoreIsInFlightThanPromised) {
  const auto same = [](auto&, auto) {};
  EXPECT_EQ(Tiny().changed(0, "G:0", same, {2, 1}), "");
  EXPECT_EQ(Tiny().changed(0, "G:0", same, {1, 1}),
            "pipeline rank 0: F1:0 makes 2 microbatches in flight, 1 were promised");
}

TEST(CheckSchedule, SaysWhenRanksDoNotGoTogether) {
  const ScheduleShape shape{2, 2, 1};
  const auto problem = [&](const std::vector<Step>& first, const std::vector<Step>& second) {
    return check_schedule({add_transfers(first, 0, 2), add_transfers(second, 1, 2)},
                          {shape, {}, {}})
        .value_or("");
  };
  const Step f0{Action::kForward, 0}, f1{Action::kForward, 1}, b0{Action::kBackward, 0},
      b1{Action::kBackward, 1};
  EXPECT_EQ(problem({f0, f1, b0, b1}, {f0, b0, f1, b1}), "");
  EXPECT_EQ(problem({f0, b0, f1, b1}, {f0, f1, b0, b1}),
            "the lists never end: pipeline rank 0 waits at step 2, rG0");
  EXPECT_EQ(problem({f0, f1, b0, b1}, {f1, f0, b0, b1}),
            "pipeline rank 1 waits for rA1, but what is sent to it next is of microbatch 0 for "
            "stage 1");
  EXPECT_EQ(problem({b0, f0, f1, b1}, {f0, b0, f1, b1}),
            "pipeline rank 0: B0 runs before its forward");
  EXPECT_EQ(problem({f0, f0, b0, b1}, {f0, b0, f1, b1}), "pipeline rank 0: F0 runs twice");
  EXPECT_EQ(problem({f0, f1, b0}, {f0, b0, f1, b1}),
            "pipeline rank 0: 2 forwards and 1 backwards run where 2 of each are due");
}

TEST(CheckSchedule, WantsWeightGradientsOfAllOrNone) {
  const ScheduleShape shape{1, 2, 1};
  const Step f0{Action::kForward, 0}, f1{Action::kForward, 1}, b0{Action::kBackward, 0},
      b1{Action::kBackward, 1}, w0{Action::kWeightGradient, 0}, w1{Action::kWeightGradient, 1};
  const auto problem = [&](const std::vector<Step>& list) {
    return check_schedule({list}, {shape, {}, {}}).value_or("");
  };
  EXPECT_EQ(problem({f0, b0, f1, b1, w0, w1}), "");
  EXPECT_EQ(problem({f0, b0, f1, b1, w1}),
            "pipeline rank 0: weight gradients of 1 microbatches run, of 2 are due");
  EXPECT_EQ(problem({f0, w0, b0, f1, b1, w1}), "pipeline rank 0: W0 runs before its backward");
  EXPECT_EQ(problem({f0, b0, w0, w0, f1, b1}), "pipeline rank 0: W0 runs twice");
}

}  // namespace
}  // namespace galvatron::plan
