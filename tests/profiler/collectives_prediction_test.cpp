// The collectives that the cost model charges a step with, beside those that the runtime makes: by
// operation, ranks, number and bytes, equal. One rank runs alone in a world whose collectives do
// nothing; its flight recorder has them all.
#include <filesystem>
#include <map>
#include <tuple>

#include <gtest/gtest.h>
#include <unistd.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/cost/layer_collectives.h"
#include "galvatron/models/registry.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/plan/param_units.h"
#include "galvatron/runtime/engine.h"

#include "tiny_models.h"

namespace galvatron::profiler {
namespace {

using profiles::Collective;

// Operation, size and stride of the group.
using TrafficKey = std::tuple<std::string, int, int>;
struct Traffic {
  std::int64_t count = 0;
  std::int64_t bytes = 0;  // of this rank's inputs
  bool operator==(const Traffic&) const = default;
};
using TrafficTable = std::map<TrafficKey, Traffic>;

std::string to_text(const TrafficTable& table) {
  std::string out;
  for (const auto& [key, traffic] : table) {
    out += std::get<0>(key) + " of " + std::to_string(std::get<1>(key)) + " ranks, stride " +
           std::to_string(std::get<2>(key)) + ": " + std::to_string(traffic.count) + " x, " +
           std::to_string(traffic.bytes) + " bytes\n";
  }
  return out;
}

void charge(TrafficTable& table, Collective kind, profiles::GroupShape group, std::int64_t bytes,
            std::int64_t count) {
  if (group.size == 1 || count == 0) return;
  Traffic& traffic = table[{to_text(kind), group.size, group.stride}];
  traffic.count += count;
  traffic.bytes += count * (kind == Collective::kAllGather ? bytes / group.size : bytes);
}

// Of one step, with the reductions of ZeRO-0 at its end.
TrafficTable predicted_traffic(const cost::CostInputs& inputs, const plan::Plan& plan) {
  TrafficTable out;
  const cost::PipelineShape shape = cost::pipeline_shape(plan);
  const std::int64_t microbatches = plan.num_microbatches;
  for (int layer = 0; layer < inputs.model.num_layers(); ++layer) {
    const cost::LayerCollectives its = cost::layer_collectives(
        inputs, shape, layer, plan.strategy(layer), plan.global_batch / microbatches);
    for (const auto* list : {&its.forward, &its.backward}) {
      for (const cost::LayerCollective& one : *list) {
        charge(out, one.kind, one.group, one.bytes, one.count * microbatches);
      }
    }
    for (const plan::UnitSpec& unit : plan::param_units(inputs.model, plan, layer)) {
      if (unit.held_in_front) continue;
      charge(out, Collective::kAllReduce, {unit.shards.size, unit.shards.stride},
             unit.elements * spec::state_bytes(plan.precision), 1);
    }
  }
  return out;
}

TrafficTable recorded_traffic(const comm::World& world) {
  const std::string path =
      testing::TempDir() + "galvatron_flight_" + std::to_string(getpid()) + ".json";
  world.flight().set_file(path, {{"rank", world.rank()}});
  world.flight().write_file("a test");
  const Json record = read_json_file(path);
  std::filesystem::remove(path);
  TrafficTable out;
  for (const Json& entry : record.at("entries")) {
    const auto ranks = entry.value("ranks", std::vector<int>{});
    const std::int64_t bytes = entry.value("bytes", std::int64_t{0});
    const bool is_loss = static_cast<int>(ranks.size()) == world.size() && bytes <= 16;
    if (ranks.size() < 2 || is_loss) continue;
    Traffic& traffic = out[{entry.at("kind"), static_cast<int>(ranks.size()), ranks[1] - ranks[0]}];
    ++traffic.count;
    traffic.bytes += bytes;
  }
  return out;
}

struct TrafficCase {
  const char* name;
  const char* family;
  int tp_degree, ulysses_degree;
  plan::Recompute recompute = plan::Recompute::kNone;
  bool tp_consecutive = true;
};

void PrintTo(const TrafficCase& one, std::ostream* out) { *out << one.name; }

class CollectivesPrediction : public testing::TestWithParam<TrafficCase> {};

TEST_P(CollectivesPrediction, AreTheStepsOwn) {
  const TrafficCase& param = GetParam();
  const spec::ModelSpec model = tiny_model(param.family, 1000, true);
  const std::int64_t seq_length = model.choose_seq_length(kSeqLength, kSeqLength);
  const spec::JobSpec job{seq_length, kGlobalBatch, spec::Precision::kFp32};
  const plan::LayerStrategy strategy{.tp_degree = param.tp_degree,
                                     .ulysses_degree = param.ulysses_degree,
                                     .recompute = param.recompute,
                                     .tp_consecutive = param.tp_consecutive};
  constexpr int kRanks = 8, kMicrobatches = 2;
  const plan::Plan plan =
      plan::uniform_plan(model, job, kRanks, strategy, 1, kMicrobatches, plan::ScheduleKind::k1F1B);
  plan::require_valid_plan(plan, model, {kRanks, seq_length});
  const profiles::HardwareProfile hardware;
  const profiles::ModelProfile profile;

  comm::World world = comm::fake_world(0, kRanks);
  runtime::Engine engine(model, plan, world, models::make_layer, {1, seq_length, true});
  Zeros data(model.image);
  engine.forward_backward(data, 1);
  EXPECT_EQ(to_text(predicted_traffic({model, job, hardware, profile}, plan)),
            to_text(recorded_traffic(world)));
}

INSTANTIATE_TEST_SUITE_P(
    Plans, CollectivesPrediction,
    testing::Values(
        TrafficCase{"gpt_tp2", "gpt2", 2, 1}, TrafficCase{"gpt_ulysses4", "gpt2", 1, 4},
        TrafficCase{"gpt_tp2_ulysses2", "gpt2", 2, 2},
        TrafficCase{"gpt_strided_tp2_ulysses2", "gpt2", 2, 2, plan::Recompute::kNone, false},
        TrafficCase{"gpt_tp2_selective", "gpt2", 2, 2, plan::Recompute::kSelective},
        TrafficCase{"gpt_tp2_ulysses2_full", "gpt2", 2, 2, plan::Recompute::kFull},
        TrafficCase{"mistral_tp2_ulysses2", "mistral", 2, 2},
        TrafficCase{"neox_tp2", "gpt_neox", 2, 1}, TrafficCase{"olmo2_tp2", "olmo2", 2, 1},
        TrafficCase{"olmo2_tp2_ulysses2_full", "olmo2", 2, 2, plan::Recompute::kFull},
        TrafficCase{"gemma2_tp2", "gemma2", 2, 1}, TrafficCase{"bert_tp2_ulysses2", "bert", 2, 2},
        TrafficCase{"t5_tp2", "t5", 2, 1}, TrafficCase{"t5_ulysses2", "t5", 1, 2},
        TrafficCase{"t5_tp2_ulysses2_full", "t5", 2, 2, plan::Recompute::kFull},
        TrafficCase{"vit_tp2", "vit", 2, 1},
        TrafficCase{"vit_tp2_full", "vit", 2, 1, plan::Recompute::kFull},
        TrafficCase{"swin_tp2", "swin", 2, 1}, TrafficCase{"swin_ulysses2", "swin", 1, 2},
        TrafficCase{"swin_tp2_ulysses2_full", "swin", 2, 2, plan::Recompute::kFull}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace galvatron::profiler
