// Engines of many plans in the same ranks that take turns step by step, so that a machine that gets
// slower and faster gets so for all of them.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "galvatron/comm/world.h"
#include "galvatron/plan/plan.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::bench {

struct TurnsOptions {
  int rounds = 7;  // turns of each plan
  // Steps of a turn: the first ones are not timed. A training's step comes behind its own, whose
  // memory it takes.
  int warm_steps = 1, timed_steps = 2;
  int at_once = 8;  // plans whose engines live at the same time, beside the first one's
  std::int64_t seq_length = 0;
  std::uint64_t seed = 1;
  std::function<void(int plans_done, const std::string& what)> progress;
  std::function<runtime::LayerFactory(const plan::Plan& plan)> layers;  // none: the model's
};

struct Measured {
  std::vector<double> relative;  // of each round: time over that of the first plan around it
  std::vector<double> ms;
  Bytes peak;  // of tensors, of the fullest rank
};

// Of each plan, in their order. A step is the trainer's own: forward and backward of all
// microbatches, norm, update, gathers. The time of the slowest rank. Collective; the same on every
// rank.
std::vector<Measured> take_turns(const spec::ModelSpec& model,
                                 const std::vector<const plan::Plan*>& plans, comm::World& world,
                                 const TurnsOptions& options);

}  // namespace galvatron::bench
