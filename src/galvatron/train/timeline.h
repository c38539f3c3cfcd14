// The timeline of steps, all ranks together, as a Chrome trace (chrome://tracing, Perfetto,
// galvatron report).
#pragma once
#include "galvatron/base/json.h"
#include "galvatron/comm/world.h"
#include "galvatron/plan/plan.h"
#include "galvatron/runtime/trace.h"

namespace galvatron::train {

// {"displayTimeUnit": "ms", "traceEvents": [{"name", "cat", "ph": "X", "ts", "dur", "pid": 0,
// "tid": rank, "args": {"step", "part"}}, ...]}, "part" where the category does not say it, times
// in microseconds since the first event. One thread per rank, named "rank 3 (stage 1)", or "rank 3
// (stages 1, 3)" when stages are interleaved. Clocks of different machines are not aligned.
// Collective; the same on every rank.
OrderedJson gather_timeline(comm::World& world, const runtime::Trace& trace,
                            const plan::Plan& plan);

}  // namespace galvatron::train
