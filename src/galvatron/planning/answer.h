// An answer with its question: what was asked and where the numbers come from, what a plan costs in
// the units that people plan with.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/cost/plan_cost.h"
#include "galvatron/planning/question.h"
#include "galvatron/search/search.h"

namespace galvatron::planning {

using profiles::Now;

// Of a plan, all devices at work.
struct Throughput {
  double tokens_per_second = 0;
  double tokens_per_second_per_device = 0;
  double flops_per_step = 0;  // of the model: forward and twice that for backward
  // flops_per_step / (step time * devices * peak), as Megatron-LM counts model FLOPs: what is
  // computed again does not count, of causal attention the half that is needed does. Unset where
  // the peak is not known.
  std::optional<double> mfu;
  // Of the question's tokens; unset without.
  std::optional<double> days, device_hours;
};
Throughput throughput(const Question& question, const plan::Plan& plan, const cost::PlanCost& cost);
// How `mfu` is counted, in words.
inline constexpr const char* kMfuConvention =
    "Megatron-LM's count: 3 x forward, half of causal attention, nothing computed again";
// Its numbers as they are printed: "51234", "41.2 %", "3.25", "1.25 K".
std::string rate_text(double tokens_per_second);
std::string mfu_text(double mfu);
std::string days_text(double days);
std::string device_hours_text(double device_hours);

// What was not measured though the rest is, or goes beyond the data sheet, a sentence each: of the
// machine and the length; with a plan also of its TP degrees, behind them.
std::vector<std::string> extrapolated(const Question& question);
std::vector<std::string> extrapolated(const Question& question, const plan::Plan& plan);

// What was asked: model with its parameters, ranks, batch, tokens, precision, optimizer, memory and
// margin, source of the numbers, what is extrapolated. Lines that begin with two spaces.
std::string to_text(const Question& question, std::int64_t global_batch, Now now);
// One or two lines.
std::string to_text(const Throughput& throughput, const Question& question);

// A line for each that the plan alone is to blame for.
std::string extrapolated_text(const Question& question, const plan::Plan& plan);

// {"model", "num_params", "world_size", "ranks_per_node", "device", "global_batch",
// "seq_length", "precision", "optimizer", "memory_bytes", "memory_given_bytes", "sources": [...],
// "attended_length" and "extrapolated": [...] where there is any}: all that an answer depends on.
OrderedJson question_to_json(const Question& question, std::int64_t global_batch);
OrderedJson throughput_to_json(const Throughput& throughput, const Question& question);
// Adds both to a `search` section, with what is extrapolated at the plan's TP degrees.
void add_answer(OrderedJson& section, const Question& question, const plan::Plan& plan,
                const cost::PlanCost& cost);
// For the plan's `search` section: what was asked, the prediction, what it comes to, certificate
// and runner-ups. REQUIRES: it found a plan.
OrderedJson search_to_json(const Question& question, const search::SearchResult& result);

}  // namespace galvatron::planning
