// Random valid plans of presets, for what must hold of every plan.
#pragma once
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "galvatron/plan/check_plan.h"

namespace galvatron::views {

class RandomPlans {
 public:
  explicit RandomPlans(std::uint64_t seed) : random_(seed) {}

  plan::Plan next(const spec::ModelSpec& model, int world_size) {
    while (true) {
      plan::Plan plan = drawn(model, world_size);
      if (!plan::check_plan(plan, model)) return plan;
    }
  }

 private:
  int pick(int least, int most) { return std::uniform_int_distribution<int>(least, most)(random_); }
  int power_of_two(int most) {
    int out = 1;
    while (2 * out <= most && pick(0, 1) == 1) out *= 2;
    return out;
  }

  plan::LayerStrategy strategy(const spec::LayerSpec& layer, int ranks) {
    while (true) {
      plan::LayerStrategy out;
      out.tp_degree = power_of_two(ranks);
      out.ulysses_degree = power_of_two(ranks / out.tp_degree);
      out.zero_stage = pick(0, 3);
      if (out.zero_stage > 0 && pick(0, 2) == 0) out.shard_degree = power_of_two(ranks);
      out.recompute = static_cast<plan::Recompute>(pick(0, 2));
      out = plan::fitted(out, layer.kind);
      if (!plan::check_layer_strategy(out, layer, ranks)) return out;
    }
  }

  std::vector<int> stages(int num_layers, int num_stages) {
    std::vector<int> out(static_cast<std::size_t>(num_stages), 1);
    for (int i = num_stages; i < num_layers; ++i)
      ++out[static_cast<std::size_t>(pick(0, num_stages - 1))];
    return out;
  }

  plan::Plan drawn(const spec::ModelSpec& model, int world_size) {
    const auto all = plan::schedules();
    const plan::ScheduleTraits& schedule =
        all[static_cast<std::size_t>(pick(0, static_cast<int>(all.size()) - 1))];
    spec::JobSpec job;
    job.global_batch = pick(4, 24);
    job.precision = pick(0, 1) == 0 ? spec::Precision::kFp32 : spec::Precision::kBf16;
    const int chunks = schedule.several_stages() ? pick(2, 3) : 1;
    int pp_degree = power_of_two(std::min(world_size, 4));
    while (pp_degree > 1 && pp_degree * chunks > model.num_layers()) pp_degree /= 2;
    plan::Plan out =
        plan::uniform_plan(model, job, world_size, {}, pp_degree,
                           pick(1, static_cast<int>(job.global_batch)), schedule.kind, 1);
    out.pipeline.layers_per_stage = stages(model.num_layers(), pp_degree * chunks);
    for (std::size_t i = 0; i < out.layers.size(); ++i) {
      const bool again =
          i > 0 && pick(0, 2) > 0 && model.layers[i].kind == model.layers[i - 1].kind;
      out.layers[i] = again ? out.layers[i - 1] : strategy(model.layers[i], out.ranks_per_stage());
    }
    const std::vector<int> tied = model.tied_layers();
    for (const int layer : tied) {
      out.layers[static_cast<std::size_t>(layer)] = out.strategy(tied.front());
    }
    return out;
  }

  std::mt19937_64 random_;
};

}  // namespace galvatron::views
