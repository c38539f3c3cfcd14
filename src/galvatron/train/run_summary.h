// What remains of a run: summary.json for the report, and a table for the terminal.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/base/units.h"
#include "galvatron/comm/world.h"
#include "galvatron/plan/memory_comparison.h"
#include "galvatron/plan/plan.h"
#include "galvatron/plan/recorded_prediction.h"
#include "galvatron/plan/traced_step.h"
#include "galvatron/train/metrics.h"

namespace galvatron::train {

// Of the checkpoints that a run has written.
struct SaveFigures {
  std::int64_t count = 0;
  Bytes bytes;               // of all ranks, in all of them
  double write_seconds = 0;  // from their start until they were on the disk
  double stall_seconds = 0;  // while further steps waited, on rank 0
  // What each keeps of a rank's share in its host's memory while it is written, of the rank with
  // most; 0: nothing, steps wait.
  Bytes copy;
};

// What a step's floating-point operations are held against, of one rank.
struct PeakSpeed {
  double flops_per_second = 0;
  double flops_of_step = 0;  // of a rank: forward and backward, without what is computed again
  bool is_measured = false;  // a large product on this machine; else a data sheet's
};

struct RunSummary {
  std::string model;
  std::string device;
  plan::Plan plan;
  std::vector<std::string> layer_names;              // of the model, for the table; may be empty
  std::vector<Bytes> peak_memory;                    // per rank
  std::vector<plan::MeasuredMemory> memory_by_kind;  // per rank; empty: not told apart
  plan::RecordedPrediction prediction;
  // By how many times the machine was slower than where the prediction comes from.
  std::optional<double> slowdown;
  std::optional<plan::TracedStep> traced;  // the parts of the steps that were traced
  std::optional<PeakSpeed> peak;
  std::string why_unpredicted;  // where a plan's prediction was left out
  std::int64_t num_steps = 0;   // of this process
  double step_seconds = 0;      // median, without the first step where there are others
  double tokens_per_second = 0;
  std::optional<double> images_per_second;  // of image models
  double first_loss = 0;
  double last_loss = 0;
  std::optional<double> last_valid_loss, last_valid_perplexity, last_valid_accuracy;
  std::optional<double> test_loss, test_perplexity, test_accuracy;
  std::int64_t skipped_steps = 0;  // left out: StepRecord::skipped
  std::int64_t last_step = 0;      // of the run, counted from its first start
  bool stopped = false;            // before its last step, by a signal
  std::string checkpoint;          // last one written; empty: none
  SaveFigures saves;
  std::string failure;  // what could not be written at the end; empty: all was
};

// REQUIRES: records is not empty.
RunSummary summarize(const plan::Plan& plan, const std::string& device,
                     const std::vector<StepRecord>& records, const std::vector<Bytes>& peak_memory);

// {"model", "device", "world_size", "ranks": [{"rank", "stage", "peak_memory_bytes",
// "predicted_memory_bytes", "memory": plan::to_json(MeasuredMemory)}],
//  "step_seconds": {"measured", "predicted"}, with "slowdown" and "predicted_at_this_pace" where
//  the machine's pace is known there and here, "tokens_per_second", "loss": {"first", "last",
//  "valid", "test"}, "valid_perplexity", "valid_accuracy", "test_perplexity", "test_accuracy",
//  "images_per_second" where there are such,
//  "options"}, with "checkpoints": {"count", "bytes", "write_seconds", "stall_seconds", and
//  "copy_bytes" of asynchronous ones}, "peak_flops" and "mfu" where a peak is known, and
//  "skipped_steps" where there are some, and "stopped_after" where it was stopped.
// What was not predicted is null; "why_unpredicted" is there where the plan foretold another run.
OrderedJson summary_to_json(const RunSummary& summary, const OrderedJson& options);
std::string summary_table(const RunSummary& summary);

// Peak memory of every rank. Collective.
std::vector<Bytes> gather_peak_memory(comm::World& world, Bytes mine);
// What it consists of on every rank. Collective.
std::vector<plan::MeasuredMemory> gather_memory(comm::World& world,
                                                const plan::MeasuredMemory& mine);

}  // namespace galvatron::train
