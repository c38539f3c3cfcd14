#include "galvatron/train/run_summary.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/base/table.h"
#include "galvatron/plan/step_comparison.h"
#include "galvatron/train/evaluation.h"
#include "galvatron/train/gather.h"

namespace galvatron::train {
namespace {

constexpr double kMillisecondsPerSecond = 1e3;

// The first step also warms up threads, caches and connections.
double median_seconds(const std::vector<StepRecord>& records) {
  std::vector<double> seconds;
  for (const StepRecord& record : records) seconds.push_back(record.seconds);
  if (seconds.size() > 1) seconds.erase(seconds.begin());
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

// "1 rank", "4 ranks".
std::string counted(std::int64_t count, const char* one, const char* many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::optional<Bytes> predicted_memory(const RunSummary& summary, int pp_rank) {
  if (summary.prediction.rank_memory.empty()) return std::nullopt;
  return summary.prediction.rank_memory.at(static_cast<std::size_t>(pp_rank));
}

// At the pace that the machine has now.
std::optional<Milliseconds> predicted_now(const RunSummary& summary) {
  if (!summary.slowdown || !summary.prediction.step_time) return std::nullopt;
  return *summary.slowdown * *summary.prediction.step_time;
}

// "" where the machine is as fast as it was, as far as that can be told.
std::string pace_line(const RunSummary& summary) {
  constexpr double kSame = 0.05;
  const auto now = predicted_now(summary);
  if (!now || std::abs(*summary.slowdown - 1) < kSame) return "";
  const bool slower = *summary.slowdown > 1;
  return fmt::format(
      "              the machine is {:.2f} times as {} as when it was profiled: predicted {} at "
      "this pace\n",
      slower ? *summary.slowdown : 1 / *summary.slowdown, slower ? "slow" : "fast", to_text(*now));
}

std::string range_text(Bytes least, Bytes most) {
  const std::string low = to_text(least), high = to_text(most);
  return low == high ? high : low + " - " + high;
}

std::string saves_line(const SaveFigures& saves) {
  const auto seconds = [](double value) {
    return to_text(Milliseconds{value * kMillisecondsPerSecond});
  };
  const auto per_second =
      static_cast<std::int64_t>(static_cast<double>(saves.bytes.value) / saves.write_seconds);
  return fmt::format("  saving      {} of {}, {}/s; training waited {}",
                     counted(saves.count, "checkpoint", "checkpoints"),
                     to_text(Bytes{saves.bytes.value / saves.count}), to_text(Bytes{per_second}),
                     seconds(saves.stall_seconds)) +
         (saves.copy.value > 0 ? fmt::format("; its copy took {} of a rank", to_text(saves.copy))
                               : "");
}

// "38.1 % of 1.02 TFLOP/s a rank (measured: a large product in bf16), 44.0 % while it computes".
std::string peak_line(const RunSummary& summary) {
  constexpr double kTera = 1e12;
  const PeakSpeed& peak = *summary.peak;
  const double whole = peak.flops_of_step / peak.flops_per_second;  // seconds at that speed
  std::string out = fmt::format(
      "  computing   {:.1f} % of {:.3g} TFLOP/s a rank ({})", 100 * whole / summary.step_seconds,
      peak.flops_per_second / kTera,
      peak.is_measured ? "measured: a large product in " + spec::to_text(summary.plan.precision)
                       : "data sheet");
  if (!summary.traced) return out;
  const plan::StepKinds& ms = summary.traced->ms;
  const double computing = ms[plan::StepKind::kForward] + ms[plan::StepKind::kBackward];
  if (computing > 0)
    out += fmt::format(", {:.1f} % in forward and backward alone",
                       100 * whole * kMillisecondsPerSecond / computing);
  return out;
}

// One row for a pipeline rank: its stage, or its stages.
void add_stage_row(TextTable& table, const RunSummary& summary, int pp_rank) {
  const int per_stage = summary.plan.ranks_per_stage(), first = pp_rank * per_stage;
  const auto begin = summary.peak_memory.begin() + first;
  const auto [least, most] = std::minmax_element(begin, begin + per_stage);
  const auto predicted = predicted_memory(summary, pp_rank);
  const std::vector<int> stages = summary.plan.pipeline.stages_of_rank(pp_rank);
  std::vector<std::string> layers;
  for (const int stage : stages) {
    const Range range = summary.plan.layers_of_stage(stage);
    layers.push_back(fmt::format("{}-{}", range.begin, range.end - 1));
  }
  table.add_row(
      {fmt::format("{}", fmt::join(stages, ", ")), fmt::format("{}", fmt::join(layers, ", ")),
       per_stage == 1 ? std::to_string(first) : fmt::format("{}-{}", first, first + per_stage - 1),
       predicted ? to_text(*predicted) : "-", range_text(*least, *most)});
}

// Of the rank that has most.
std::string memory_kinds_table(const RunSummary& summary) {
  if (summary.memory_by_kind.empty()) return "";
  const auto most = std::max_element(summary.peak_memory.begin(), summary.peak_memory.end());
  const auto rank = static_cast<int>(most - summary.peak_memory.begin());
  return "\n" + plan::memory_comparison_table(
                    rank, summary.plan.pp_rank_of(rank),
                    summary.memory_by_kind.at(static_cast<std::size_t>(rank)), summary.prediction);
}

}  // namespace

RunSummary summarize(const plan::Plan& plan, const std::string& device,
                     const std::vector<StepRecord>& records,
                     const std::vector<Bytes>& peak_memory) {
  GALV_CHECK(!records.empty(), "a summary of no steps");
  RunSummary out;
  out.model = plan.model;
  out.device = device;
  out.plan = plan;
  out.peak_memory = peak_memory;
  out.prediction = read_prediction(plan);
  out.num_steps = static_cast<std::int64_t>(records.size());
  out.step_seconds = median_seconds(records);
  out.tokens_per_second = static_cast<double>(records.back().tokens) / out.step_seconds;
  if (records.back().images)
    out.images_per_second = static_cast<double>(*records.back().images) / out.step_seconds;
  out.first_loss = records.front().loss;
  out.last_loss = records.back().loss;
  out.last_step = records.back().step;
  for (const StepRecord& record : records) {
    if (record.valid_loss) {
      out.last_valid_loss = record.valid_loss;
      out.last_valid_perplexity = record.valid_perplexity;
      out.last_valid_accuracy = record.valid_accuracy;
    }
    if (record.skipped) ++out.skipped_steps;
  }
  out.test_loss = records.back().test_loss;
  out.test_perplexity = records.back().test_perplexity;
  out.test_accuracy = records.back().test_accuracy;
  return out;
}

OrderedJson summary_to_json(const RunSummary& summary, const OrderedJson& options) {
  OrderedJson ranks = OrderedJson::array();
  for (int rank = 0; rank < summary.plan.world_size; ++rank) {
    const int pp_rank = summary.plan.pp_rank_of(rank);
    const auto predicted = predicted_memory(summary, pp_rank);
    ranks.push_back(
        {{"rank", rank},
         {"stage", pp_rank},
         {"peak_memory_bytes", summary.peak_memory.at(static_cast<std::size_t>(rank)).value},
         {"predicted_memory_bytes", predicted ? OrderedJson(predicted->value) : OrderedJson()}});
    if (!summary.memory_by_kind.empty()) {
      ranks.back()["memory"] =
          plan::to_json(summary.memory_by_kind.at(static_cast<std::size_t>(rank)));
    }
    if (summary.plan.pipeline.stages_per_rank() == 1) continue;
    ranks.back()["stages"] = summary.plan.pipeline.stages_of_rank(pp_rank);
  }
  const auto& predicted = summary.prediction.step_time;
  const OrderedJson predicted_seconds =
      predicted ? OrderedJson(predicted->value / kMillisecondsPerSecond) : OrderedJson();
  OrderedJson loss{{"first", summary.first_loss}, {"last", summary.last_loss}};
  if (summary.last_valid_loss) loss["valid"] = *summary.last_valid_loss;
  if (summary.test_loss) loss["test"] = *summary.test_loss;
  OrderedJson out{
      {"model", summary.model},
      {"device", summary.device},
      {"world_size", summary.plan.world_size},
      {"steps", summary.num_steps},
      {"ranks", ranks},
      {"step_seconds", {{"measured", summary.step_seconds}, {"predicted", predicted_seconds}}},
      {"tokens_per_second", summary.tokens_per_second},
      {"loss", loss}};
  if (const auto now = predicted_now(summary)) {
    out["step_seconds"]["slowdown"] = *summary.slowdown;
    out["step_seconds"]["predicted_at_this_pace"] = now->value / kMillisecondsPerSecond;
  }
  const auto add = [&out](const char* name, const std::optional<double>& value) {
    if (value) out[name] = *value;
  };
  add("images_per_second", summary.images_per_second);
  add("valid_perplexity", summary.last_valid_perplexity);
  add("valid_accuracy", summary.last_valid_accuracy);
  add("test_perplexity", summary.test_perplexity);
  add("test_accuracy", summary.test_accuracy);
  const SaveFigures& saves = summary.saves;
  if (saves.count > 0) {
    out["checkpoints"] = {{"count", saves.count},
                          {"bytes", saves.bytes.value},
                          {"write_seconds", saves.write_seconds},
                          {"stall_seconds", saves.stall_seconds}};
    if (saves.copy.value > 0) out["checkpoints"]["copy_bytes"] = saves.copy.value;
  }
  if (summary.peak) {
    out["peak_flops"] = summary.peak->flops_per_second;
    out["mfu"] =
        summary.peak->flops_of_step / summary.peak->flops_per_second / summary.step_seconds;
  }
  if (summary.skipped_steps > 0) out["skipped_steps"] = summary.skipped_steps;
  if (summary.stopped) out["stopped_after"] = summary.last_step;
  out["options"] = options;
  if (!summary.why_unpredicted.empty()) out["why_unpredicted"] = summary.why_unpredicted;
  return out;
}

std::string summary_table(const RunSummary& summary) {
  const plan::Plan& plan = summary.plan;
  TextTable table({"stage", "layers", "ranks", "predicted memory", "measured memory"});
  for (int p = 0; p < plan.pipeline.degree; ++p) add_stage_row(table, summary, p);
  const auto& predicted = summary.prediction.step_time;
  std::string out =
      fmt::format("{} on {} ({}), {}\n", summary.model, counted(plan.world_size, "rank", "ranks"),
                  summary.device, counted(summary.num_steps, "step", "steps"));
  out += fmt::format("  plan        {}\n", plan::summarize(plan, summary.layer_names));
  const bool one_each = plan.pipeline.stages_per_rank() == 1;
  out += fmt::format("  pipeline    {}{}, {}, {}, global batch {}, {}\n",
                     counted(plan.pipeline.num_stages(), "stage", "stages"),
                     one_each ? "" : fmt::format(" on {} pipeline ranks", plan.pipeline.degree),
                     plan::to_text(plan.pipeline.schedule),
                     counted(plan.num_microbatches, "microbatch", "microbatches"),
                     plan.global_batch, spec::to_text(plan.precision));
  out += fmt::format("  step time   predicted {}, measured {}\n",
                     predicted ? to_text(*predicted) : "-",
                     to_text(Milliseconds{summary.step_seconds * kMillisecondsPerSecond}));
  out += pace_line(summary);
  if (!summary.why_unpredicted.empty()) {
    out += fmt::format("              no prediction: {}\n", summary.why_unpredicted);
  }
  out += fmt::format("  throughput  {:.0f} tokens/s", summary.tokens_per_second);
  if (summary.images_per_second)
    out += fmt::format(", {:.0f} images/s", *summary.images_per_second);
  out += "\n";
  if (summary.peak) out += peak_line(summary) + "\n";
  out += fmt::format("  loss        {:.4f} -> {:.4f}", summary.first_loss, summary.last_loss);
  if (summary.last_valid_loss)
    out += ", validation " + scores_text(*summary.last_valid_loss, summary.last_valid_perplexity,
                                         summary.last_valid_accuracy);
  if (summary.test_loss)
    out +=
        ", test " + scores_text(*summary.test_loss, summary.test_perplexity, summary.test_accuracy);
  if (summary.saves.count > 0) out += "\n" + saves_line(summary.saves);
  if (summary.skipped_steps > 0)
    out += fmt::format("\n  left out    {}", counted(summary.skipped_steps, "step", "steps"));
  out += "\n\n" + table.to_string() + memory_kinds_table(summary);
  if (!summary.traced) return out;
  return out + "\n" +
         step_comparison_table(compare_step(plan, *summary.traced, summary.prediction),
                               *summary.traced);
}

std::vector<Bytes> gather_peak_memory(comm::World& world, Bytes mine) {
  std::vector<Bytes> out;
  for (const std::string& text : gather_texts(world, std::to_string(mine.value)))
    out.push_back({std::stoll(text)});
  return out;
}

std::vector<plan::MeasuredMemory> gather_memory(comm::World& world,
                                                const plan::MeasuredMemory& mine) {
  std::vector<plan::MeasuredMemory> out;
  for (const std::string& text : gather_texts(world, plan::to_json(mine).dump())) {
    const auto memory = plan::measured_memory_from_json(parse_json(text, "a rank's memory"));
    GALV_CHECK(memory.has_value(), "no memory in ", text);
    out.push_back(*memory);
  }
  return out;
}

}  // namespace galvatron::train
