#include "galvatron/views/run_view.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "galvatron/plan/check_plan.h"
#include "galvatron/plan/recorded_prediction.h"
#include "galvatron/plan/recorded_question.h"
#include "galvatron/planning/answer.h"
#include "galvatron/planning/plan_drawing.h"
#include "galvatron/spec/presets.h"
#include "galvatron/views/amounts.h"
#include "galvatron/views/plan_view.h"

namespace galvatron::views {
namespace {

// Points of a curve: of more, those with the least and the largest loss of each group.
constexpr std::size_t kMostSteps = 20'000;
// A run that has written no step for so long, and for so many of its steps, has come to an end.
constexpr double kLongestSilence = 120, kSilentSteps = 20;

// Metrics of evaluations, and what they are called on the page.
constexpr std::array kOfEvaluations = {
    std::pair{"valid_loss", "validation_loss"},
    std::pair{"valid_perplexity", "validation_perplexity"},
    std::pair{"valid_accuracy", "validation_accuracy"},
};

std::string spaced(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

// Of a metric what steps have; empty: none has it.
std::vector<double> known_values(const Run& run, const char* name) {
  const auto found = run.metrics.find(name);
  if (found == run.metrics.end()) return {};
  std::vector<double> known;
  for (const auto& value : found->second) {
    if (value) known.push_back(*value);
  }
  return known;
}

// Median without the first steps, which warm up.
std::optional<double> typical(const Run& run, const char* name) {
  std::vector<double> known = known_values(run, name);
  if (known.empty()) return std::nullopt;
  known.erase(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(known.size() / 5));
  const auto middle = known.begin() + static_cast<std::ptrdiff_t>(known.size() / 2);
  std::nth_element(known.begin(), middle, known.end());
  return *middle;
}

std::string model_of(const Run& run) {
  if (run.summary && !run.summary->model.empty()) return run.summary->model;
  if (run.plan && !run.plan->model.empty()) return run.plan->model;
  return run.model.empty() ? "training run" : run.model;
}

std::string folder_name(const Run& run) {
  namespace fs = std::filesystem;
  const fs::path path = fs::path(run.folder).lexically_normal();
  return (path.has_filename() ? path.filename() : path.parent_path().filename()).string();
}

std::string title_of(const Run& run) {
  const std::string name = folder_name(run);
  return name.empty() || name == "." ? model_of(run) : model_of(run) + ": " + name;
}

struct RunState {
  const char* state;
  std::string text;
};

bool goes_on(const Run& run) {
  if (!run.seconds_since_step) return false;
  const double step = typical(run, "seconds").value_or(0);
  return *run.seconds_since_step < std::max(kLongestSilence, kSilentSteps * step);
}

RunState state_of(const Run& run) {
  const std::int64_t last = run.steps.back();
  const auto steps = count_text(static_cast<std::int64_t>(run.steps.size()), "step");
  if (run.summary && run.summary->stopped_after) {
    return {"stopped", fmt::format("stopped after step {}", *run.summary->stopped_after)};
  }
  if (run.summary) return {"finished", "finished after " + steps};
  if (goes_on(run)) return {"running", fmt::format("running: step {} is done", last)};
  return {run.seconds_since_step ? "stopped" : "unknown",
          fmt::format("no end was recorded: last step {}", last)};
}

// Of the run's options, as it records them.
std::string option_text(const Run& run, const char* key) {
  const Json* found = run.options.is_object() ? find_value(run.options, key) : nullptr;
  return found == nullptr || found->is_null() ? "" : value_text(found);
}

class Facts {
 public:
  void add(const std::string& name, const std::string& text) {
    if (!text.empty()) facts_.push_back({{"name", name}, {"text", text}});
  }
  OrderedJson take() { return std::move(facts_); }

 private:
  OrderedJson facts_ = OrderedJson::array();
};

std::string first_and_last_loss(const Run& run, const char* name) {
  const std::vector<double> known = known_values(run, name);
  if (known.empty()) return "";
  if (known.size() == 1) return fmt::format("{:.4g}", known.back());
  return fmt::format("{:.4g}, from {:.4g}", known.back(), known.front());
}

std::string pipeline_text(const plan::Plan& plan) {
  const plan::Pipeline& pipeline = plan.pipeline;
  const bool one_each = pipeline.num_stages() == pipeline.degree;
  return fmt::format("{}{} ({}) of {} each", count_text(pipeline.num_stages(), "stage"),
                     one_each ? "" : fmt::format(" on {} pipeline ranks", pipeline.degree),
                     plan::to_text(pipeline.schedule),
                     count_text(plan.world_size / std::max(1, pipeline.degree), "rank"));
}

OrderedJson facts_view(const Run& run) {
  Facts facts;
  facts.add("model", model_of(run));
  std::string ranks;
  if (run.summary) {
    const std::string& device = run.summary->device;
    ranks = fmt::format("{} on {}", count_text(run.summary->world_size, "rank"),
                        device.empty() ? "an unnamed device" : device);
  } else if (run.plan || run.world_size) {
    ranks = count_text(run.world_size.value_or(run.plan ? run.plan->world_size : 1), "rank");
  }
  facts.add("ranks", ranks);
  if (run.plan) {
    facts.add("precision", spec::to_text(run.plan->precision));
    facts.add("batch", fmt::format("{} in {}", run.plan->global_batch,
                                   count_text(run.plan->num_microbatches, "microbatch")));
    facts.add("pipeline", pipeline_text(*run.plan));
  }
  const Bytes budget = run.plan ? plan::recorded_budget(*run.plan) : Bytes{};
  if (budget.value > 0) facts.add("memory budget", to_text(budget));
  facts.add("sequence length", option_text(run, "seq_length"));
  facts.add("optimizer", option_text(run, "optimizer"));
  facts.add("steps", fmt::format("{} to {}", run.steps.front(), run.steps.back()));
  facts.add("loss", first_and_last_loss(run, "loss"));
  for (const auto& [metric, shown] : kOfEvaluations)
    facts.add(spaced(shown), first_and_last_loss(run, metric));
  for (const char* metric : {"test_loss", "test_perplexity", "test_accuracy"})
    facts.add(spaced(metric), first_and_last_loss(run, metric));
  facts.add("folder", run.folder);
  return facts.take();
}

// Of all steps those that are drawn: see kMostSteps.
std::vector<std::size_t> drawn_steps(const Run& run) {
  std::vector<std::size_t> out;
  const std::size_t group = run.steps.size() * 2 / kMostSteps + 1;
  const auto loss = run.metrics.find("loss");
  const auto loss_at = [&](std::size_t i) {
    return loss == run.metrics.end() ? 0 : loss->second[i].value_or(0);
  };
  for (std::size_t begin = 0; begin < run.steps.size(); begin += group) {
    const std::size_t end = std::min(begin + group, run.steps.size());
    std::size_t least = begin, most = begin;
    for (std::size_t i = begin; i < end; ++i) {
      if (loss_at(i) < loss_at(least)) least = i;
      if (loss_at(i) > loss_at(most)) most = i;
    }
    out.push_back(std::min(least, most));
    if (least != most) out.push_back(std::max(least, most));
  }
  if (out.back() + 1 != run.steps.size()) out.push_back(run.steps.size() - 1);
  return out;
}

OrderedJson value_or_null(const std::optional<double>& value) {
  return value ? OrderedJson(*value) : OrderedJson(nullptr);
}

OrderedJson metrics_view(const Run& run) {
  const std::vector<std::size_t> drawn = drawn_steps(run);
  OrderedJson out;
  for (const std::size_t i : drawn) out["step"].push_back(run.steps[i]);
  for (const auto& [name, column] : run.metrics) {
    if (name.starts_with("valid_") || name.starts_with("test_")) continue;
    OrderedJson& values = out[name] = OrderedJson::array();
    for (const std::size_t i : drawn) values.push_back(value_or_null(column[i]));
  }
  return out;
}

OrderedJson evaluations_view(const Run& run) {
  OrderedJson out = {{"step", OrderedJson::array()}, {"validation_loss", OrderedJson::array()}};
  const auto losses = run.metrics.find("valid_loss");
  if (losses == run.metrics.end()) return out;
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    if (!losses->second[i]) continue;
    out["step"].push_back(run.steps[i]);
    for (const auto& [metric, shown] : kOfEvaluations) {
      const auto column = run.metrics.find(metric);
      if (column != run.metrics.end()) out[shown].push_back(value_or_null(column->second[i]));
    }
  }
  return out;
}

// A preset, or what is known of a model without its config: only the names of its layers.
spec::ModelSpec model_of_plan(const plan::Plan& plan) {
  if (spec::is_preset(plan.model)) return spec::load_preset(plan.model);
  spec::ModelSpec out;
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    spec::LayerSpec& layer = out.layers.emplace_back();
    if (i == 0) layer.kind = spec::LayerKind::kEmbedding;
    if (i > 0 && i + 1 == plan.layers.size()) layer.kind = spec::LayerKind::kHead;
  }
  return out;
}

OrderedJson plan_of_run(const Run& run) {
  if (!run.plan) return nullptr;
  const plan::Plan& plan = *run.plan;
  const spec::ModelSpec model = model_of_plan(plan);
  OrderedJson out = plan_outline(plan, model);
  const bool drawable = !model.name.empty() && !plan::check_plan(plan, model);
  out["drawing"] =
      drawable ? planning::draw_plan(plan, model.layer_names()) : plan::summarize(plan) + "\n";
  return out;
}

// Whether the plan's prediction is of this very training, as far as its options say.
bool predicts_this_run(const Run& run) {
  const auto recorded = plan::recorded_question(*run.plan);
  if (!recorded) return false;
  spec::JobSpec job = *recorded;
  const std::string length = option_text(run, "seq_length");
  if (length != std::to_string(job.seq_length)) return false;
  if (option_text(run, "optimizer") != job.optimizer->name) return false;
  return !plan::unlike_recorded(*run.plan, job);
}

OrderedJson predicted_view(const Run& run, const std::optional<plan::RecordedPrediction>& found) {
  std::optional<Milliseconds> step;
  if (found) step = found->step_time;
  if (run.summary && run.summary->predicted_seconds) {
    step = Milliseconds{1000 * *run.summary->predicted_seconds};
  }
  if (!step) return nullptr;
  OrderedJson parts = OrderedJson::array();
  if (found) {
    for (const auto& [name, time] : found->step_parts) {
      parts.push_back({{"name", name},
                       {"part", name},
                       {"links", ""},
                       {"ms", time.value},
                       {"text", to_text(time)},
                       {"share", step->value > 0 ? time / *step : 0}});
    }
  }
  return {{"step", amount(*step)}, {"parts", std::move(parts)}};
}

OrderedJson measured_view(const Run& run) {
  const auto measured = [&run](auto field, const char* key) {
    return run.summary && (*run.summary).*field ? (*run.summary).*field : typical(run, key);
  };
  const auto seconds = measured(&RecordedSummary::measured_seconds, "seconds");
  const auto rate = measured(&RecordedSummary::tokens_per_second, "tokens_per_second");
  if (!seconds || !rate) return nullptr;
  return {{"step", amount(Milliseconds{1000 * *seconds})},
          {"tokens_per_second", amount(*rate, planning::rate_text(*rate))}};
}

OrderedJson bytes_or_null(const std::optional<double>& bytes) {
  return bytes ? amount(whole_bytes(*bytes)) : OrderedJson(nullptr);
}

OrderedJson parts_of_rank(const std::optional<plan::RecordedPrediction>& prediction, int pp_rank) {
  if (!prediction || pp_rank < 0 || pp_rank >= static_cast<int>(prediction->rank_parts.size())) {
    return nullptr;
  }
  OrderedJson out = OrderedJson::array();
  for (const auto& [name, bytes] : prediction->rank_parts[static_cast<std::size_t>(pp_rank)]) {
    if (bytes.value > 0)
      out.push_back({{"name", name}, {"bytes", bytes.value}, {"text", to_text(bytes)}});
  }
  return out;
}

// Before there is a summary: what the plan says of its ranks, and the first one's own measurement.
std::vector<RunRank> ranks_so_far(const Run& run,
                                  const std::optional<plan::RecordedPrediction>& prediction) {
  std::vector<RunRank> out;
  const int degree = run.plan ? run.plan->pipeline.degree : 1;
  for (int pp_rank = 0; pp_rank < degree; ++pp_rank) {
    RunRank rank{run.plan ? pp_rank * run.plan->ranks_per_stage() : 0, pp_rank, {}, {}, {}};
    if (prediction && pp_rank < static_cast<int>(prediction->rank_memory.size())) {
      rank.predicted_bytes =
          static_cast<double>(prediction->rank_memory[static_cast<std::size_t>(pp_rank)].value);
    }
    out.push_back(rank);
  }
  const std::vector<double> memory = known_values(run, "memory_bytes");
  if (!memory.empty()) out[0].measured_bytes = *std::max_element(memory.begin(), memory.end());
  return out;
}

OrderedJson memory_of_run(const Run& run,
                          const std::optional<plan::RecordedPrediction>& prediction) {
  OrderedJson ranks = OrderedJson::array();
  for (const RunRank& rank : run.summary ? run.summary->ranks : ranks_so_far(run, prediction)) {
    ranks.push_back({{"rank", rank.rank},
                     {"stage", rank.stage},
                     {"measured", bytes_or_null(rank.measured_bytes)},
                     {"predicted", bytes_or_null(rank.predicted_bytes)},
                     {"parts", parts_of_rank(prediction, rank.stage)}});
  }
  const Bytes budget = run.plan ? plan::recorded_budget(*run.plan) : Bytes{};
  return {{"budget", amount_or_null(budget)}, {"ranks", std::move(ranks)}};
}

std::vector<std::string> notes_of(const Run& run) {
  std::vector<std::string> out = run.notes;
  const auto missing = [&](bool is_there, const char* file, const char* what) {
    if (!is_there) out.push_back(fmt::format("This run has no {}, so {}.", file, what));
  };
  missing(run.plan.has_value(), "plan.json", "its plan is not shown");
  missing(run.summary.has_value(), "summary.json", "prediction and measurement are not compared");
  missing(run.events.has_value(), "trace.json", "there is no timeline");
  if (run.summary && !run.summary->why_unpredicted.empty()) {
    out.push_back(fmt::format("No prediction: {}.", run.summary->why_unpredicted));
  }
  if (run.steps.size() > kMostSteps) {
    out.push_back(fmt::format("Of {} steps those with the lowest and the highest losses are drawn.",
                              run.steps.size()));
  }
  return out;
}

OrderedJson options_view(const Json& options) {
  return options.is_object() ? OrderedJson::parse(options.dump()) : OrderedJson(nullptr);
}

}  // namespace

std::optional<plan::RecordedPrediction> prediction_of(const Run& run) {
  if (!run.plan) return std::nullopt;
  const bool is_of_run =
      run.summary ? run.summary->predicted_seconds.has_value() : predicts_this_run(run);
  if (!is_of_run) return std::nullopt;
  return plan::read_prediction(*run.plan);
}

OrderedJson run_view(const Run& run) {
  const auto prediction = prediction_of(run);
  const RunState state = state_of(run);
  return {{"title", title_of(run)},
          {"state", state.state},
          {"state_text", state.text},
          {"facts", facts_view(run)},
          {"metrics", metrics_view(run)},
          {"evaluations", evaluations_view(run)},
          {"notes", notes_of(run)},
          {"plan", plan_of_run(run)},
          {"predicted", predicted_view(run, prediction)},
          {"measured", measured_view(run)},
          {"memory", memory_of_run(run, prediction)},
          {"timeline", traced_timeline_view(run)},
          {"options", options_view(run.options)},
          {"search", run.plan ? run.plan->search : OrderedJson(nullptr)}};
}

}  // namespace galvatron::views
