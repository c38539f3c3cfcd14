// What a model makes of data that it does not learn from, each sample once.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/base/units.h"
#include "galvatron/data/sample_source.h"
#include "galvatron/runtime/engine.h"

namespace galvatron::train {

struct EvaluationSummary {
  double loss = 0;                   // mean over all labels
  double accuracy = 0;               // part of the labels that the model foretold
  std::optional<double> perplexity;  // exp(loss), of models of text
  std::int64_t labels = 0;
  std::int64_t samples = 0;
  std::int64_t batches = 0;
  std::int64_t tokens = 0;  // of these samples
  double seconds = 0;
  std::string device;
  std::vector<Bytes> peak_memory;  // per rank
};

// Of global batches 0 .. num_batches - 1 of `samples`, or of all its samples where that is 0; what
// lies behind the last sample does not count. Without peak_memory and device. Collective.
// ConfigError where no label counts.
EvaluationSummary evaluate(runtime::Engine& engine, const data::SampleSource& samples,
                           std::int64_t num_batches);

// "2.1234 (perplexity 8.36, accuracy 51.2 %)".
std::string scores_text(double loss, std::optional<double> perplexity,
                        std::optional<double> accuracy);

// What was evaluated and under which plan, its scores, tokens a second.
std::string evaluation_table(const EvaluationSummary& summary, const plan::Plan& plan);
// {"model", "device", "world_size", "loss", "perplexity", "accuracy", "labels", "samples",
// "batches", "seconds",
//  "tokens_per_second", "ranks": [{"rank", "peak_memory_bytes"}]}.
OrderedJson evaluation_to_json(const EvaluationSummary& summary, const plan::Plan& plan);

}  // namespace galvatron::train
