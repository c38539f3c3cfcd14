#include "galvatron/planning/search_request.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "galvatron/base/error.h"

namespace galvatron::planning {
namespace {

constexpr std::int64_t kMostBatches = 10'000;

[[noreturn]] void fail_batches(const std::string& text) {
  throw ConfigError("--global-batch needs a number, a list (32,64) or a range (16:128:16), not '",
                    text, "'");
}

[[noreturn]] void fail_long_range(const std::string& text) {
  throw ConfigError("--global-batch ", text, " is a range of more than ", kMostBatches,
                    " batches; a larger step makes it shorter");
}

search::SearchOptions engine_options(const SearchRequest& request) {
  search::SearchOptions options;
  options.global_batches = parse_batches(request.global_batch.empty() ? "8" : request.global_batch);
  options.num_runners_up = request.num_runners_up;
  options.time_limit = request.time_limit;
  options.simplicity = request.simplicity;
  options.simulate_within = request.simulate_within;
  options.space.uneven_stages = !request.even_stages;
  const auto allow = [&](const std::string& text) {
    search::add_constraint(options.space, text, true);
  };
  for (const std::string& text : request.allow) allow(text);
  for (const std::string& text : request.forbid) search::add_constraint(options.space, text, false);
  if (request.schedule) allow("schedule=" + plan::to_text(*request.schedule));
  if (request.num_microbatches)
    allow(detail::concat("num_microbatches=", *request.num_microbatches));
  if (request.max_tp) allow(detail::concat("tp_degree<=", *request.max_tp));
  if (request.max_pp) allow(detail::concat("pp_degree<=", *request.max_pp));
  if (request.max_ulysses) allow(detail::concat("ulysses_degree<=", *request.max_ulysses));
  return options;
}

std::string field_names() {
  std::string out;
  plan::for_each_supported_field([&](const auto& field) {
    if (std::string_view(field.name) == "tp_degree") return;
    out += field.name;
    out += ", ";
  });
  return out;
}

void add_space_options(OptionList& list, SearchRequest& request) {
  list.group("Space");
  list.texts("allow", request.allow,
             "Only these: tp_degree=1,2 or 'tp_degree<=2'; also pp_degree, " + field_names() +
                 "schedule, num_microbatches",
             "CONSTRAINT");
  list.texts("forbid", request.forbid, "Never these: recompute=full, zero_stage=0,1", "CONSTRAINT");
  list.choice(
      "schedule", plan::searched_schedule_names(), "Fix the schedule",
      [&request](const std::string& name) { request.schedule = plan::parse_schedule(name); },
      [&request] { return request.schedule ? plan::to_text(*request.schedule) : std::string(); });
  list.count("num-microbatches", request.num_microbatches, {.min = 1}, "Fix the microbatches");
  list.count("max-tp", request.max_tp, {.min = 1}, "Largest TP degree");
  list.count("max-pp", request.max_pp, {.min = 1}, "Most pipeline ranks");
  list.count("max-ulysses", request.max_ulysses, {.min = 1}, "Largest Ulysses degree");
  list.flag("even-stages", request.even_stages, "Balanced stages only");
}

}  // namespace

OptionList search_options(SearchRequest& request) {
  constexpr int kMostRunnersUp = 1000;
  OptionList list = question_options(request.question);
  list.text("global-batch", request.global_batch,
            "Samples per step: 64, or a choice: 32,64 or 16:128:16; default 8");
  add_space_options(list, request);
  list.group("Search");
  list.number("time-limit", request.time_limit, {.min = 0},
              "Seconds after which it ends with the best plan so far and its gap; default: none");
  list.number(
      "simplicity", request.simplicity, {.min = 0, .max = 1},
      "Share of the step by which a plan of fewer runs of layers may be slower than the best");
  list.number(
      "simulate-within", request.simulate_within, {.min = 0, .max = 1},
      "Plans slower by at most this share are simulated, and the fastest of them is chosen; "
      "0: by the formula alone");
  list.group("Output");
  list.count("runners-up", request.num_runners_up, {0, kMostRunnersUp}, "How many runner-ups");
  return list;
}

std::vector<std::int64_t> parse_batches(const std::string& text) {
  std::vector<std::int64_t> numbers;
  char separator = 0;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find_first_of(",:", begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (word.empty() || word.size() > 12 ||
        word.find_first_not_of("0123456789") != std::string::npos) {
      fail_batches(text);
    }
    numbers.push_back(std::stoll(word));
    if (end < text.size()) {
      if (separator != 0 && separator != text[end]) fail_batches(text);
      separator = text[end];
    }
    begin = end + 1;
  }
  if (separator != ':') return numbers;
  if (numbers.size() == 2) numbers.push_back(1);
  if (numbers.size() != 3 || numbers[2] < 1 || numbers[0] > numbers[1]) fail_batches(text);
  if ((numbers[1] - numbers[0]) / numbers[2] >= kMostBatches) fail_long_range(text);
  std::vector<std::int64_t> out;
  for (std::int64_t batch = numbers[0]; batch <= numbers[1]; batch += numbers[2]) {
    out.push_back(batch);
  }
  return out;
}

search::SearchResult PreparedSearch::run(search::WatchProgress watch) const {
  search::SearchOptions watched = options;
  if (watch) watched.progress = std::move(watch);
  return search_best_plan(question.inputs(), watched);
}

PreparedSearch prepare_search(const SearchRequest& request, spec::ModelSpec model,
                              MachineKnowledge knowledge) {
  PreparedSearch out;
  out.options = engine_options(request);
  out.question = prepare_question(request.question, std::move(model), std::move(knowledge));
  out.question.job.global_batch = out.options.global_batches.front();
  out.options.memory = out.question.memory;
  return out;
}

}  // namespace galvatron::planning
