#include "galvatron/planning/sweep.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <iterator>
#include <memory>
#include <mutex>
#include <thread>

#include "galvatron/base/error.h"
#include "galvatron/planning/answer.h"
#include "galvatron/planning/answer_cells.h"

namespace galvatron::planning {
namespace {

constexpr std::size_t kMostRows = 10'000;

// A list that is read as a whole.
template <typename T, typename Read>
void add_list(OptionList& list, const std::string& name, const std::string& placeholder,
              const std::string& help, std::vector<T>& values, Read read) {
  const auto text = std::make_shared<std::string>();
  list.text(
      name, placeholder, help,
      [&values, read, text](const std::string& given, const std::string& shown) {
        values = read(given, shown);
        *text = given;
      },
      [text] { return *text; });
}

std::vector<std::string> read_names(const std::string& text, const std::string& shown) {
  std::vector<std::string> names = split_list(text);
  if (std::find(names.begin(), names.end(), "") != names.end()) {
    throw ConfigError(shown, " needs names joined by commas, not '", text, "'");
  }
  return names;
}

// One question, and the rows of its budgets.
struct SweepTask {
  SweepRow row;  // without memory and answer
  const spec::ModelSpec* model = nullptr;
  const MachineKnowledge* knowledge = nullptr;
};

template <typename T>
std::vector<T> or_one(std::vector<T> values, T otherwise) {
  if (values.empty()) values.push_back(otherwise);
  return values;
}

class Sweep {
 public:
  Sweep(const SweepRequest& request, const SweepProgress& progress)
      : request_(request), progress_(progress) {
    if (request.models.empty()) {
      throw ConfigError("[sweep] --model is missing: say what is to be trained");
    }
    for (const std::string& name : request.models) models_.push_back(find_model(name));
    for (const std::string& name : clusters()) machines_.push_back(find_machine(name));
    make_tasks();
  }

  std::vector<SweepRow> run() {
    answers_.resize(tasks_.size());
    work_on_all_cores();
    std::vector<SweepRow> out;
    for (auto& rows : answers_) std::move(rows.begin(), rows.end(), std::back_inserter(out));
    const bool none = std::all_of(out.begin(), out.end(),
                                  [](const SweepRow& row) { return !row.problem.empty(); });
    if (none) throw ConfigError(out.front().problem);
    return out;
  }

 private:
  std::vector<std::string> clusters() const {
    return or_one(request_.clusters, request_.machine.cluster);
  }

  spec::ModelSpec find_model(const std::string& name) const {
    return request_.find_model ? request_.find_model(name)
                               : spec::load_model(name, request_.overrides);
  }

  MachineKnowledge find_machine(const std::string& cluster) const {
    if (request_.find_machine) return request_.find_machine(cluster);
    MachineFiles files = request_.machine;
    files.cluster = cluster;
    return read_machine(files);
  }

  void make_tasks() {
    for (std::size_t m = 0; m < models_.size(); ++m) {
      for (std::size_t c = 0; c < machines_.size(); ++c) {
        for (const int ranks : or_one(request_.world_sizes, 0)) {
          for (const int length : or_one(request_.seq_lengths, 0)) {
            for (const std::int64_t batch : or_one(request_.global_batches, std::int64_t{0})) {
              SweepRow row;
              row.model = request_.models[m];
              row.cluster = clusters()[c];
              row.world_size = ranks;
              row.seq_length = length;
              row.global_batch = batch;
              tasks_.push_back({row, &models_[m], &machines_[c]});
            }
          }
        }
      }
    }
    const std::size_t rows = tasks_.size() * std::max<std::size_t>(request_.memories.size(), 1);
    if (rows > kMostRows) {
      throw ConfigError("[sweep] ", rows, " combinations are more than the ", kMostRows,
                        " of a table: shorten a list");
    }
  }

  void work_on_all_cores() {
    const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
    std::vector<std::jthread> workers;
    for (std::size_t i = 1; i < std::min(cores, tasks_.size()); ++i) {
      workers.emplace_back([this] { work(); });
    }
    work();
    workers.clear();
    if (failure_) std::rethrow_exception(failure_);
  }

  void work() {
    for (std::size_t i = next_++; i < tasks_.size(); i = next_++) {
      try {
        answers_[i] = answer(tasks_[i]);
        const std::scoped_lock lock(mutex_);
        if (progress_) progress_(++num_done_, tasks_.size());
      } catch (...) {
        fail(std::current_exception());
      }
    }
  }

  // No further questions.
  void fail(std::exception_ptr failure) {
    const std::scoped_lock lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
    next_ = tasks_.size();
  }

  std::vector<SweepRow> answer(const SweepTask& task) const {
    try {
      return search(task);
    } catch (const ConfigError& error) {
      SweepRow row = task.row;
      row.problem = error.what();
      row.answer = no_answer(row.problem);
      std::vector<SweepRow> rows;
      for (const Bytes memory : or_one(request_.memories, Bytes{})) {
        rows.push_back(row);
        rows.back().memory = memory;
      }
      return rows;
    }
  }

  PreparedSearch prepare(const SweepRow& row, const SweepTask& task) const {
    SearchRequest request = request_.search;
    request.question.world_size = row.world_size;
    request.question.seq_length = row.seq_length;
    if (row.global_batch > 0) request.global_batch = std::to_string(row.global_batch);
    if (!request_.memories.empty()) request.question.memory = request_.memories.front();
    request.num_runners_up = 0;
    PreparedSearch out = prepare_search(request, *task.model, *task.knowledge);
    out.options.progress = request_.watch;
    return out;
  }

  std::vector<SweepRow> search(const SweepTask& task) const {
    SweepRow row = task.row;
    const PreparedSearch prepared = prepare(row, task);
    row.world_size = prepared.question.hardware.world_size;
    row.seq_length = prepared.question.job.seq_length;
    row.global_batch = prepared.question.job.global_batch;
    row.extrapolated = extrapolated(prepared.question);
    const cost::CostInputs inputs = prepared.question.inputs();
    search::BudgetSearch budgets(inputs, prepared.options);
    std::optional<search::ClosestMiss> miss;  // the same for every budget that is too small
    std::vector<SweepRow> rows;
    for (const Bytes memory : or_one(request_.memories, prepared.question.memory_given)) {
      row.memory = memory;
      row.budget = memory - prepared.question.margin.of(memory);
      row.result = budgets.best_plan(row.budget);
      if (row.result.closest_miss) miss = row.result.closest_miss;
      if (miss) budgets.look_for_closest_miss_below({0});
      const bool in_time = row.result.certificate.ended_by.empty();
      if (!row.result.best && in_time) row.result.closest_miss = miss;
      row.answer = answer_cells(prepared.question, row.result, row.budget);
      rows.push_back(row);
    }
    return rows;
  }

  const SweepRequest& request_;
  const SweepProgress& progress_;
  std::vector<spec::ModelSpec> models_;
  std::vector<MachineKnowledge> machines_;
  std::vector<SweepTask> tasks_;
  std::vector<std::vector<SweepRow>> answers_;  // of each task
  std::atomic<std::size_t> next_ = 0;
  std::mutex mutex_;  // of what follows
  std::size_t num_done_ = 0;
  std::exception_ptr failure_;
};

}  // namespace

OptionList sweep_options(SweepRequest& request) {
  OptionList list;
  list.group("Lists: a row for each combination");
  add_list(list, "model", "NAME,...", "Preset names, config.json or folders", request.models,
           read_names);
  add_list(list, "cluster", "NAME,...", "Named clusters or their files", request.clusters,
           read_names);
  list.counts("world-size", request.world_sizes, {1, plan::kMaxRanks}, "Ranks");
  list.counts("seq-length", request.seq_lengths, {.min = 1}, "Tokens of a sample");
  add_list(list, "global-batch", "N,...",
           "Samples per step: 32,64 or 16:128:16 (first, last, step); default 8",
           request.global_batches, [](const std::string& text, const std::string& shown) {
             const std::vector<std::int64_t> batches = parse_batches(text);
             if (std::find(batches.begin(), batches.end(), 0) != batches.end())
               throw ConfigError(shown, " 0 must be at least 1");
             return batches;
           });
  add_list(list, "memory", "SIZE,...",
           "What a plan may use of one device: 24GiB,40GiB or 16GiB:80GiB:8GiB", request.memories,
           parse_sizes);
  list.append(spec::model_override_options(request.overrides));
  OptionList shared = machine_options(request.machine);
  shared.append(search_options(request.search));
  list.append(shared.without(
      {"cluster", "world-size", "seq-length", "global-batch", "memory", "runners-up"}));
  return list;
}

std::vector<Bytes> parse_sizes(const std::string& text, const std::string& shown) {
  std::vector<Bytes> out;
  const std::vector<std::string> range = split_list(text, ':');
  if (range.size() == 1) {
    for (const std::string& part : split_list(text)) out.push_back(parse_bytes(part, shown));
    return out;
  }
  if (range.size() == 3) {
    const Bytes first = parse_bytes(range[0], shown), last = parse_bytes(range[1], shown);
    const Bytes step = parse_bytes(range[2], shown);
    const auto rows = step.value > 0 ? (last - first).value / step.value : -1;
    if (rows >= 0 && first <= last && rows < static_cast<std::int64_t>(kMostRows)) {
      for (Bytes size = first; size <= last; size += step) out.push_back(size);
      return out;
    }
  }
  throw ConfigError(shown, " needs sizes (24GiB,40GiB) or a range (16GiB:80GiB:8GiB), not '", text,
                    "'");
}

std::vector<SweepRow> run_sweep(const SweepRequest& request, const SweepProgress& progress) {
  return Sweep(request, progress).run();
}

}  // namespace galvatron::planning
