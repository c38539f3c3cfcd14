#include "galvatron/plan/memory_comparison.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "galvatron/base/table.h"

namespace galvatron::plan {
namespace {

struct Kind {
  const char* name;
  Bytes MeasuredMemory::* measured;
  std::vector<std::string> predicted;  // parts of a prediction
};

const std::array<Kind, 5>& kinds() {
  static const std::array<Kind, 5> all = {
      {{"parameters", &MeasuredMemory::parameters, {"parameters"}},
       {"master", &MeasuredMemory::master, {"master"}},
       {"gradients", &MeasuredMemory::gradients, {"gradients"}},
       {"optimizer", &MeasuredMemory::optimizer, {"optimizer"}},
       {"rest", &MeasuredMemory::rest, {"activations", "transient"}}}};
  return all;
}

std::string key_of(const Kind& kind) { return kind.name + std::string("_bytes"); }

void add_row(TextTable& table, const std::string& name, std::optional<Bytes> predicted,
             Bytes measured) {
  std::vector<std::string> cells = {name};
  if (predicted) cells.push_back(to_text(*predicted));
  cells.push_back(to_text(measured));
  if (predicted) {
    const bool both = predicted->value > 0 && measured.value > 0;
    cells.push_back(both ? fmt::format("{:.3f}", static_cast<double>(measured.value) /
                                                     static_cast<double>(predicted->value))
                         : "-");
  }
  table.add_row(std::move(cells));
}

}  // namespace

OrderedJson to_json(const MeasuredMemory& memory) {
  OrderedJson out;
  for (const Kind& kind : kinds()) out[key_of(kind)] = (memory.*kind.measured).value;
  return out;
}

std::optional<MeasuredMemory> measured_memory_from_json(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  MeasuredMemory out;
  for (const Kind& kind : kinds()) {
    const auto found = json.find(key_of(kind));
    if (found == json.end() || !found->is_number()) return std::nullopt;
    out.*kind.measured = whole_bytes(found->get<double>());
  }
  return out;
}

std::string memory_comparison_table(int rank, int pp_rank, const MeasuredMemory& measured,
                                    const RecordedPrediction& prediction) {
  std::vector<std::pair<std::string, Bytes>> predicted;
  if (pp_rank < static_cast<int>(prediction.rank_parts.size()))
    predicted = prediction.rank_parts[static_cast<std::size_t>(pp_rank)];
  std::vector<std::string> headers = {fmt::format("memory of rank {}", rank)};
  if (!predicted.empty()) headers.push_back("predicted");
  headers.push_back("measured");
  if (!predicted.empty()) headers.push_back("ratio");
  TextTable table(headers);
  Bytes foretold;
  for (const Kind& kind : kinds()) {
    std::optional<Bytes> sum;
    if (!predicted.empty()) sum = Bytes{};
    for (const auto& [name, bytes] : predicted) {
      const auto& parts = kind.predicted;
      if (std::find(parts.begin(), parts.end(), name) != parts.end()) *sum += bytes;
    }
    foretold += sum.value_or(Bytes{});
    const Bytes found = measured.*kind.measured;
    if (found.value == 0 && sum.value_or(Bytes{}).value == 0) continue;
    const bool is_rest = kind.measured == &MeasuredMemory::rest;
    add_row(table, is_rest ? "activations and passing" : kind.name, sum, found);
  }
  const Bytes all = measured.states() + measured.rest;
  add_row(table, "peak", predicted.empty() ? std::nullopt : std::optional(foretold), all);
  return table.to_string();
}

}  // namespace galvatron::plan
