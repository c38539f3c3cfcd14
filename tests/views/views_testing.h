// Plans and machines that the tests of views ask about.
#pragma once
#include <string>

#include "galvatron/views/plan_answer.h"

namespace galvatron::views {

inline PlanQuestion asked_about(const std::string& model, const std::string& cluster) {
  PlanQuestion out{{}, spec::load_model(model), {}};
  out.machine.cluster = profiles::load_cluster(cluster);
  return out;
}

inline plan::Plan gpt2_plan(const plan::LayerStrategy& strategy = {}, int pp_degree = 1,
                            int num_microbatches = 4) {
  return plan::uniform_plan(spec::load_model("gpt2"), {1024, 16, spec::Precision::kBf16}, 8,
                            strategy, pp_degree, num_microbatches);
}

inline PlanAnswer answer_gpt2(const plan::Plan& plan, const std::string& cluster = "8xA100") {
  return answer_plan(asked_about("gpt2", cluster), {"mine", plan});
}

}  // namespace galvatron::views
