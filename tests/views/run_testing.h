// The files of a run of four steps.
#pragma once
#include <string>

#include "galvatron/views/run_files.h"

namespace galvatron::views {

inline OrderedJson step_line(int step) {
  return {{"step", step},
          {"loss", 8.0 / step},
          {"grad_norm", 1.0},
          {"lr", 1e-3},
          {"tokens", 1024},
          {"seconds", 0.5},
          {"tokens_per_second", 2048.0},
          {"memory_bytes", 1 << 20}};
}

inline constexpr const char* kPlanOfRun =
    R"({"format": "galvatron-plan", "version": 1, "model": "gpt-<tiny>", "world_size": 8,
        "global_batch": 32, "num_microbatches": 4, "precision": "fp32",
        "pipeline": {"degree": 2, "schedule": "1f1b", "layers_per_stage": [5, 9]},
        "layers": [{"count": 1, "tp_degree": 4, "zero_stage": 3},
                   {"count": 12, "tp_degree": 2, "recompute": "full"}, {"ulysses_degree": 4}],
        "search": {"memory_budget_bytes": 419430400, "gap": 0}})";

inline constexpr const char* kSummaryOfRun =
    R"({"model": "gpt-<tiny>", "device": "cpu", "world_size": 2,
        "ranks": [{"rank": 1, "stage": 1, "peak_memory_bytes": 300, "predicted_memory_bytes": 330},
                  {"rank": 0, "stage": 0, "peak_memory_bytes": 200}],
        "step_seconds": {"measured": 0.5, "predicted": 0.4}, "tokens_per_second": 2048.0,
        "options": {"seq_length": 128, "data": "a & b"}})";

inline constexpr const char* kTraceOfRun =
    R"({"traceEvents": [
         {"ph": "M", "name": "thread_name", "pid": 0, "tid": 0},
         {"ph": "X", "name": "F0", "cat": "forward", "ts": 5000, "dur": 1000, "tid": 0,
          "args": {"microbatch": 3}},
         {"ph": "X", "name": "gather", "cat": "communication", "ts": 5500, "dur": 1000, "tid": 0},
         {"ph": "X", "name": "B0", "cat": "backward", "ts": 6000, "dur": 2000, "tid": 1},
         {"ph": "X", "name": "adamw", "cat": "optimizer", "ts": 8000, "dur": 1000, "tid": 0}]})";

inline RunTexts run_of_four_steps() {
  RunTexts out{"runs/first", {}, std::nullopt};
  for (int step = 1; step <= 4; ++step) out.files[kRunMetrics] += step_line(step).dump() + "\n";
  out.files["plan.json"] = kPlanOfRun;
  out.files["summary.json"] = kSummaryOfRun;
  out.files["trace.json"] = kTraceOfRun;
  return out;
}

}  // namespace galvatron::views
