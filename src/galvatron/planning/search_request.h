// A search as a user asks for it, on the command line or from Python: a question, batches to choose
// from and a space, made into the values that search_best_plan() takes.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/option.h"
#include "galvatron/planning/question.h"
#include "galvatron/search/search.h"

namespace galvatron::planning {

struct SearchRequest {
  QuestionRequest question;
  std::string global_batch;  // "64", "32,64" or "16:128:16" (first, last, step); empty: 8
  std::vector<std::string> allow, forbid;      // "tp_degree<=2", "recompute=full"
  std::optional<plan::ScheduleKind> schedule;  // unset: any
  std::optional<int> num_microbatches, max_tp, max_pp, max_ulysses;
  bool even_stages = false;
  std::optional<double> time_limit;  // seconds; unset: none
  double simplicity = search::SearchOptions{}.simplicity;
  double simulate_within = search::SearchOptions{}.simulate_within;
  int num_runners_up = 3;
};

// `request` must outlive the list: for the command line and Python.
OptionList search_options(SearchRequest& request);

// A request that can be searched.
struct PreparedSearch {
  Question question;  // its job has the first of the batches
  search::SearchOptions options;

  search::SearchResult run(search::WatchProgress watch = nullptr) const;
};

// ConfigError for what is missing or contradicts itself.
PreparedSearch prepare_search(const SearchRequest& request, spec::ModelSpec model,
                              MachineKnowledge knowledge);

// The numbers of "64", "32,64" or "16:128:16". ConfigError for anything else.
std::vector<std::int64_t> parse_batches(const std::string& text);

}  // namespace galvatron::planning
