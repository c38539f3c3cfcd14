// Random small models and random valid plans for them: the plan fuzzer's input.
#pragma once
#include <string>
#include <vector>

#include "galvatron/plan/plan.h"

#include "runtime/plan_training.h"
#include "runtime/random_model.h"

namespace galvatron::testing {

// A model of any of the families (random_model.h), of a few layers with odd sizes: vocabulary,
// intermediate size, sequence and batch rarely divide evenly.
TrainingCase random_case(Random& random, const std::vector<std::string>& families = {});

// Any mix of strategies per layer that check_plan accepts.
plan::Plan random_plan(Random& random, const TrainingCase& job, int world_size);

// One case, by number: the same on every machine.
struct FuzzCase {
  TrainingCase job;
  plan::Plan plan;
};
FuzzCase fuzz_case(std::uint64_t seed, const std::vector<std::string>& families = {});

// Trains it against one rank. The difference, or what went wrong as text in `where` with an
// infinite value.
Difference run_case(const FuzzCase& test, comm::BackendKind backend = comm::BackendKind::kThreads);

// The simplest variation of a failing case that still fails: plainer strategies, fewer
// microbatches, one stage.
FuzzCase shrink(FuzzCase failing, double tolerance);

std::string describe(const FuzzCase& test);

}  // namespace galvatron::testing
