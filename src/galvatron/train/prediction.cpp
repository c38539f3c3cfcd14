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
  Prediction out{Milliseconds{*number(*cost, "step_ms")}, {}};
  const auto stages = cost->find("stages");
  if (stages == cost->end() || !stages->is_array()) return out;
  for (const OrderedJson& stage : *stages) {
    const auto memory = stage.is_object() ? stage.find("memory") : stage.end();
    const auto total = memory == stage.end() ? std::nullopt : number(*memory, "total_bytes");
    if (!total) break;
    const double reserve = number(*memory, "reserve_bytes").value_or(0);
    out.stage_memory.push_back({static_cast<std::int64_t>(*total - reserve)});
  }
  if (static_cast<int>(out.stage_memory.size()) != plan.pipeline.degree) out.stage_memory.clear();
  return out;
}

}  // namespace galvatron::train
