// What no plan of a shape can be faster than: its computing alone.
#pragma once
#include <vector>

#include "galvatron/cost/cost_model.h"

namespace galvatron::search {

// [type]: forward and backward of one layer at the fastest of its candidates, per microbatch, in
// ms, by a rank that computes alone.
std::vector<double> fastest_compute(
    const cost::CostInputs& inputs, const cost::PipelineShape& shape,
    const std::vector<std::vector<plan::LayerStrategy>>& candidates);

// How much slower a rank of the shape computes than one alone.
double compute_slowdown(const cost::CostInputs& inputs, const cost::PipelineShape& shape);

}  // namespace galvatron::search
