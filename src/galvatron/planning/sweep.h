// The same question for several models, machines, lengths, batches and budgets: a row for each
// combination.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/planning/chart.h"
#include "galvatron/planning/result_table.h"
#include "galvatron/planning/search_request.h"
#include "galvatron/spec/model_overrides.h"

namespace galvatron::planning {

// What an empty list leaves to the search: all ranks, all memory, the usual length and batch.
struct SweepRequest {
  SearchRequest search;  // what all rows share
  MachineFiles machine;  // likewise
  spec::ModelOverrides overrides;
  std::vector<std::string> models, clusters;
  std::vector<int> world_sizes, seq_lengths;
  std::vector<std::int64_t> global_batches;
  std::vector<Bytes> memories;  // of one device
  // What a name of the lists stands for, and the machine with the cluster of that name ("": none is
  // named); unset: files too, as on the command line.
  std::function<spec::ModelSpec(const std::string& name)> find_model = nullptr;
  std::function<MachineKnowledge(const std::string& cluster)> find_machine = nullptr;
  search::WatchProgress watch = nullptr;  // of each search, from any thread
};
// `request` must outlive the list: for the command line and Python.
OptionList sweep_options(SweepRequest& request);

struct SweepRow {
  std::string model, cluster;  // as they were asked for
  int world_size = 0;
  std::int64_t seq_length = 0, global_batch = 0;
  Bytes memory, budget;  // given, and what the margin leaves of it
  search::SearchResult result;
  std::vector<ResultCell> answer;         // of answer_columns()
  std::vector<std::string> extrapolated;  // of the machine and the length: planning/answer.h
  std::string problem;                    // why the combination cannot be; empty: it was searched
};

// Called after each question, from any thread but one at a time: how many of how many are answered.
// What it throws ends the sweep.
using SweepProgress = std::function<void(std::size_t done, std::size_t total)>;

// The answers of separate searches, in the order of the lists, the last ones running fastest.
// Budgets of one question share its cost tables; questions run on all cores. ConfigError for what
// cannot be read, for more rows than anybody reads, and where no combination can be.
std::vector<SweepRow> run_sweep(const SweepRequest& request, const SweepProgress& progress = {});

// Columns that people read: what differs between rows, and the answers.
ResultTable sweep_table(const std::vector<SweepRow>& rows);
// What all rows share: "llama2-7b, 8xA100, 8 ranks".
std::string sweep_title(const std::vector<SweepRow>& rows);
// What is extrapolated, each once: a line each.
std::string sweep_notes(const std::vector<SweepRow>& rows);
OrderedJson sweep_to_json(const std::vector<SweepRow>& rows);
// Tokens per second; nullopt when nothing fits.
std::optional<Chart> sweep_chart(const std::vector<SweepRow>& rows);

// The sizes of "24GiB", "24GiB,40GiB" or "16GiB:80GiB:8GiB" (first, last, step).
std::vector<Bytes> parse_sizes(const std::string& text, const std::string& shown);

}  // namespace galvatron::planning
