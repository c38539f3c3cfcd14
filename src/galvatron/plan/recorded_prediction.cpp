#include "galvatron/plan/recorded_prediction.h"

#include <algorithm>
#include <array>
#include <utility>

namespace galvatron::plan {
namespace {

std::optional<double> number(const OrderedJson& object, const std::string& key) {
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

void read_step_parts(const OrderedJson& cost, RecordedPrediction& out) {
  constexpr std::array<std::array<const char*, 2>, 3> kParts = {
      {{"compute", "compute_ms"},
       {"exposed communication", "exposed_communication_ms"},
       {"bubble", "bubble_ms"}}};
  for (const auto& [name, key] : kParts) {
    if (const auto time = number(cost, key)) out.step_parts.push_back({name, Milliseconds{*time}});
  }
}

// Under `key`: numbers by the names of their kinds.
std::optional<StepKinds> read_kinds(const OrderedJson& cost, const char* key, double otherwise) {
  const auto found = cost.find(key);
  if (found == cost.end() || !found->is_object()) return std::nullopt;
  StepKinds out(otherwise);
  for (const StepKind kind : enum_values<StepKind>()) {
    out[kind] = number(*found, enum_text(kind)).value_or(otherwise);
  }
  return out;
}

// nullopt: it does not say the total.
std::optional<Bytes> read_memory(const OrderedJson& memory,
                                 std::vector<std::pair<std::string, Bytes>>& parts) {
  const auto total = number(memory, "total_bytes");
  if (!total) return std::nullopt;
  for (const char* part :
       {"parameters", "master", "gradients", "optimizer", "activations", "transient", "reserve"}) {
    const auto bytes = number(memory, part + std::string("_bytes"));
    if (bytes) parts.push_back({part, whole_bytes(*bytes)});
  }
  return whole_bytes(*total - number(memory, "reserve_bytes").value_or(0));
}

void read_ranks(const OrderedJson& stages, const Pipeline& pipeline, RecordedPrediction& out) {
  for (const OrderedJson& stage : stages) {
    const auto memory = stage.is_object() ? stage.find("memory") : stage.end();
    std::vector<std::pair<std::string, Bytes>> parts;
    const auto bytes = memory == stage.end() ? std::nullopt : read_memory(*memory, parts);
    if (!bytes) break;
    out.rank_memory.push_back(*bytes);
    out.rank_parts.push_back(std::move(parts));
  }
  // A stage's memory is that of its pipeline rank; the first stages are one on each.
  const auto degree = static_cast<std::size_t>(pipeline.degree);
  const bool complete =
      static_cast<int>(out.rank_memory.size()) == pipeline.num_stages() && degree > 0;
  out.rank_memory.resize(complete ? degree : 0);
  out.rank_parts.resize(out.rank_memory.size());
}

// Times hold for the speed that the network's machine had; the layers' were brought to it.
std::optional<Milliseconds> read_reference(const OrderedJson& search) {
  const auto question = search.find("question");
  if (question == search.end() || !question->is_object()) return std::nullopt;
  const auto sources = question->find("sources");
  if (sources == question->end() || !sources->is_array()) return std::nullopt;
  for (const OrderedJson& source : *sources) {
    const auto ms = number(source, "reference_ms");
    if (ms && *ms > 0) return Milliseconds{*ms};
  }
  return std::nullopt;
}

}  // namespace

RecordedPrediction read_prediction(const Plan& plan) {
  const OrderedJson* cost = find_cost(plan.search);
  if (!cost) return {};
  RecordedPrediction out;
  out.step_time = Milliseconds{*number(*cost, "step_ms")};
  out.reference = read_reference(plan.search);
  read_step_parts(*cost, out);
  out.kinds = read_kinds(*cost, "parts_ms", 0);
  out.factors = read_kinds(*cost, "calibration", 1).value_or(StepKinds(1));
  const double degree = std::max(1, plan.pipeline.degree);
  out.slowest_rank =
      static_cast<int>(std::clamp(number(*cost, "slowest_rank").value_or(0), 0.0, degree - 1));
  const auto stages = cost->find("stages");
  if (stages != cost->end() && stages->is_array()) read_ranks(*stages, plan.pipeline, out);
  return out;
}

Bytes recorded_budget(const Plan& plan) {
  return whole_bytes(number(plan.search, "memory_budget_bytes").value_or(0));
}

}  // namespace galvatron::plan
