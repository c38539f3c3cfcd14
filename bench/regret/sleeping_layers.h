// Layers that sleep as long as a profile says that they compute, and exchange what real ones do:
// what is left of a step is its schedule, its overlap and its changes of layout.
#pragma once
#include "galvatron/cost/cost_model.h"
#include "galvatron/plan/plan.h"
#include "galvatron/runtime/engine.h"

namespace galvatron::bench {

// Both outlive the layers.
runtime::LayerFactory sleeping_layers(const cost::CostInputs& inputs, const plan::Plan& plan);

// Of a cluster of `num_nodes` nodes of `world_size` ranks in all, whose links are so slow that
// small messages take milliseconds.
profiles::HardwareProfile rehearsed_hardware(int world_size, int num_nodes);
// What a sample takes in each layer type.
profiles::ModelProfile rehearsed_profile(const spec::ModelSpec& model, std::int64_t seq_length);

}  // namespace galvatron::bench
