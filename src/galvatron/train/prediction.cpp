#include "galvatron/train/prediction.h"

namespace galvatron::train {
namespace {

std::optional<double> number(const OrderedJson& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

const OrderedJson* find_cost(const OrderedJson& search) {
  if (number(search, "step_ms")) return &search;
  for (const char* key : {"prediction", "predicted", "cost"}) {
    if (!search.is_object()) break;
    const auto found = search.find(key);
    if (found != search.end() && number(*found, "step_ms")) return &*found;
  }
  return nullptr;
}

}  // namespace

Prediction read_prediction(const plan::Plan& plan) {
  const OrderedJson* cost = find_cost(plan.search);
  if (!cost) return {};
  Prediction out;
  out.step_time = Milliseconds{*number(*cost, "step_ms")};
  const auto stages = cost->find("stages");
  if (stages == cost->end() || !stages->is_array()) return out;
  for (const OrderedJson& stage : *stages) {
    const auto memory = stage.is_object() ? stage.find("memory") : stage.end();
    const auto total = memory == stage.end() ? std::nullopt : number(*memory, "total_bytes");
    if (!total) break;
    const double reserve = number(*memory, "reserve_bytes").value_or(0);
    out.rank_memory.push_back({static_cast<std::int64_t>(*total - reserve)});
  }
  // A stage's memory is that of its pipeline rank; the first stages are one on each.
  const auto degree = static_cast<std::size_t>(plan.pipeline.degree);
  const bool complete =
      static_cast<int>(out.rank_memory.size()) == plan.pipeline.num_stages() && degree > 0;
  out.rank_memory.resize(complete ? degree : 0);
  return out;
}

}  // namespace galvatron::train
