// Random instances with our solver's answers as JSON, for an independent judge (tests/python).
//   search_probe COUNT SEED
#include <cstdlib>
#include <iostream>

#include "galvatron/base/json.h"

#include "search/random_tables.h"

namespace galvatron::search {
namespace {

Json cost_to_json(const cost::LayerCost& cost) {
  return {{"forward_ms", cost.forward_ms},
          {"backward_ms", cost.backward_ms},
          {"once_ms", cost.once_ms},
          {"state", cost.state_bytes},
          {"activation", cost.activation_bytes},
          {"carried", cost.carried_bytes},
          {"gathered", cost.gathered_bytes},
          {"reducing", cost.reducing_bytes},
          {"parameter_gradient", cost.parameter_gradient_bytes},
          {"forward_workspace", cost.forward_workspace_bytes},
          {"backward_workspace", cost.backward_workspace_bytes},
          {"layout", cost.layout}};
}

Json tables_to_json(const cost::CostTables& tables) {
  Json json;
  json["pp_degree"] = tables.shape.pp_degree;
  json["num_microbatches"] = tables.shape.num_microbatches;
  json["schedule"] = plan::to_text(tables.shape.schedule);
  json["type_of_layer"] = tables.type_of_layer;
  for (const auto& row : tables.cost) {
    Json candidates = Json::array();
    for (const cost::LayerCost& cost : row) candidates.push_back(cost_to_json(cost));
    json["cost"].push_back(candidates);
  }
  json["num_layouts"] = tables.layouts.size();
  for (const cost::Border& border : tables.borders) {
    json["borders"].push_back(
        {{"transition_ms", border.transition_ms}, {"transfer_ms", border.transfer_ms}});
  }
  json["border_behind"] = tables.border_behind;
  json["reserve"] = tables.reserve_bytes;
  json["groups"] = tied_groups(tables);
  return json;
}

// Too large for brute force: up to 10 layers of up to 5 kinds, at a budget that bites.
Json medium_instance(Random& random) {
  RandomModel model = random.whole(0, 1) == 0
                          ? decoder_model(random.whole(4, 8))
                          : mixed_model(random, random.whole(6, 10), random.whole(4, 7));
  model.fewest_candidates = 2;
  model.most_candidates = 5;
  model.most_stages = 4;
  const cost::CostTables tables = random_tables(random, model);
  const LayerRanges ranges(tables.type_of_layer);
  const auto groups = tied_groups(tables);
  const std::int64_t leanest =
      least_bytes(ShapeQuestion(tables, ranges, groups, {std::int64_t{1} << 40, true}));
  const std::int64_t budget = leanest + random.whole(-4, 50);
  const ShapeAnswer answer = solve_shape(ShapeQuestion(tables, ranges, groups, {budget, true}));
  Json json = tables_to_json(tables);
  json["budget"] = budget;
  json["answer"] = nullptr;
  if (answer.found()) {
    json["answer"] = {{"step_ms", answer.step_ms},
                      {"layers_per_stage", answer.layers_per_stage},
                      {"choice", answer.choice}};
  }
  return json;
}

}  // namespace
}  // namespace galvatron::search

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: search_probe COUNT SEED\n";
    return 2;
  }
  galvatron::search::Random random{std::mt19937_64(std::strtoull(argv[2], nullptr, 10))};
  galvatron::Json out = galvatron::Json::array();
  for (int i = 0; i < std::atoi(argv[1]); ++i) {
    out.push_back(galvatron::search::medium_instance(random));
  }
  std::cout << out.dump() << "\n";
}
