// What a rank's memory consists of, as it was predicted beside as it was measured: what train
// prints at its end and the report of a run shows.
#pragma once
#include <optional>
#include <string>

#include "galvatron/base/json.h"
#include "galvatron/base/units.h"
#include "galvatron/plan/recorded_prediction.h"

namespace galvatron::plan {

// Tensors of one rank. States are those that it holds between steps; `rest` is what the peak of its
// steps had beside them: activations, and what is there for a while.
struct MeasuredMemory {
  Bytes parameters, master, gradients, optimizer, rest;
  Bytes states() const { return parameters + master + gradients + optimizer; }
  bool operator==(const MeasuredMemory&) const = default;
};

// {"parameters_bytes", "master_bytes", "gradients_bytes", "optimizer_bytes", "rest_bytes"}
OrderedJson to_json(const MeasuredMemory& memory);
// nullopt where one of these is missing or no number.
std::optional<MeasuredMemory> measured_memory_from_json(const Json& json);

// Of a rank of pipeline rank `pp_rank`: "kind  predicted  measured  ratio", the sum last; without
// the prediction's columns where it does not say it.
std::string memory_comparison_table(int rank, int pp_rank, const MeasuredMemory& measured,
                                    const RecordedPrediction& prediction);

}  // namespace galvatron::plan
