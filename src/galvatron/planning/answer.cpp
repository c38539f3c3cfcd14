#include "galvatron/planning/answer.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "galvatron/search/report.h"

namespace galvatron::planning {
namespace {

constexpr double kSecondsPerDay = 86400;

std::string machine_text(const profiles::HardwareProfile& hardware) {
  return fmt::format("{}, {} x {} of {}", count_text(hardware.world_size, "rank"),
                     count_text(hardware.num_nodes(), "node"), hardware.ranks_on_node(),
                     hardware.device);
}

std::string sample_text(const Question& question) {
  const spec::ModelSpec& model = question.model;
  const std::int64_t length = question.job.seq_length;
  if (model.fixed_seq_length > 0) return fmt::format("images ({} tokens each)", length);
  const bool is_longest = length == model.max_positions || !model.limits_length();
  return fmt::format("{} tokens{}", length,
                     is_longest ? "" : fmt::format(" (the model allows {})", model.max_positions));
}

std::string memory_text(const Question& question) {
  std::string out = fmt::format("memory {} of a device", to_text(question.memory));
  if (question.memory != question.memory_given) {
    out += fmt::format(": {} less a margin of {} for what predictions err",
                       to_text(question.memory_given), to_text(question.margin));
  }
  return out + fmt::format("; {} of it reserved", to_text(question.hardware.memory_reserve));
}

struct Source {
  const char* of;
  const profiles::Provenance& provenance;
};
std::vector<Source> sources_of(const Question& question) {
  return {{"network and device", question.hardware.provenance},
          {"layers", question.profile.provenance}};
}

std::vector<std::string> extrapolated_at(const Question& question,
                                         const std::vector<int>& tp_degrees) {
  std::vector<std::string> out = question.hardware.extrapolated;
  for (std::string& text : question.profile.extrapolations(tp_degrees)) {
    out.push_back(std::move(text));
  }
  return out;
}

std::string line_of_extrapolation(const std::string& what) {
  return "  extrapolated: " + what + "\n";
}

}  // namespace

Throughput throughput(const Question& question, const plan::Plan& plan,
                      const cost::PlanCost& cost) {
  Throughput out;
  const double step_seconds = cost.step_time.value / 1000;
  const double devices = plan.world_size;
  out.tokens_per_second = cost.tokens_per_second;
  out.tokens_per_second_per_device = out.tokens_per_second / devices;
  out.flops_per_step = 3 * spec::forward_flops(question.model, question.job.seq_length) *
                       static_cast<double>(plan.global_batch);
  if (question.peak_flops > 0) {
    out.mfu = out.flops_per_step / (step_seconds * devices * question.peak_flops);
  }
  if (question.tokens) {
    out.days = *question.tokens / out.tokens_per_second / kSecondsPerDay;
    out.device_hours = *out.days * 24 * devices;
  }
  return out;
}

std::string rate_text(double tokens_per_second) { return fmt::format("{:.0f}", tokens_per_second); }
std::string mfu_text(double mfu) { return fmt::format("{:.1f} %", 100 * mfu); }
std::string days_text(double days) { return fmt::format("{:.3g}", days); }
std::string device_hours_text(double device_hours) { return amount_text(std::round(device_hours)); }

std::vector<std::string> extrapolated(const Question& question) {
  return extrapolated_at(question, {});
}

std::vector<std::string> extrapolated(const Question& question, const plan::Plan& plan) {
  std::vector<int> tp_degrees;
  for (const plan::LayerStrategy& layer : plan.layers) tp_degrees.push_back(layer.tp_degree);
  return extrapolated_at(question, tp_degrees);
}

std::string extrapolated_text(const Question& question, const plan::Plan& plan) {
  const std::vector<std::string> all = extrapolated(question, plan);
  std::string out;
  for (std::size_t i = extrapolated(question).size(); i < all.size(); ++i) {
    out += line_of_extrapolation(all[i]);
  }
  return out;
}

std::string to_text(const Question& question, std::int64_t global_batch, Now now) {
  const spec::ModelSpec& model = question.model;
  std::string out = fmt::format(
      "{}: {} parameters in {}\n  {}\n  batch {} x {}, {}, {}\n  {}\n", model.name,
      amount_text(static_cast<double>(model.num_params())), count_text(model.num_blocks(), "block"),
      machine_text(question.hardware), global_batch, sample_text(question),
      to_text(question.job.precision), question.job.optimizer->name, memory_text(question));
  for (const Source& source : sources_of(question)) {
    out += fmt::format("  {}: {}\n", source.of, profiles::source_text(source.provenance, now));
  }
  for (const std::string& what : extrapolated(question)) out += line_of_extrapolation(what);
  const profiles::HardwareProfile& hardware = question.hardware;
  for (const std::string& what :
       profiles::overlap_texts(hardware.tp_overlap, hardware.gather_overlap)) {
    out += "  assumed: " + what + "\n";
  }
  return out;
}

std::string to_text(const Throughput& throughput, const Question& question) {
  std::string out =
      fmt::format("  {} tokens/s, {} a device\n", rate_text(throughput.tokens_per_second),
                  rate_text(throughput.tokens_per_second_per_device));
  if (throughput.mfu) {
    out += fmt::format("  MFU {} of {:.4g} TFLOP/s, a device's dense {} peak ({})\n",
                       mfu_text(*throughput.mfu), question.peak_flops / 1e12,
                       to_text(question.job.precision), kMfuConvention);
  }
  if (throughput.days) {
    out += fmt::format("  {} tokens take {} days, {} device-hours\n", amount_text(*question.tokens),
                       days_text(*throughput.days), device_hours_text(*throughput.device_hours));
  }
  return out;
}

OrderedJson question_to_json(const Question& question, std::int64_t global_batch) {
  OrderedJson out = {{"model", question.model.name},
                     {"num_params", question.model.num_params()},
                     {"world_size", question.hardware.world_size},
                     {"ranks_per_node", question.hardware.ranks_per_node},
                     {"device", question.hardware.device},
                     {"global_batch", global_batch},
                     {"seq_length", question.job.seq_length},
                     {"precision", to_text(question.job.precision)},
                     {"optimizer", question.job.optimizer->name},
                     {"memory_bytes", question.memory.value},
                     {"memory_given_bytes", question.memory_given.value}};
  if (question.job.attended_length > 0) out["attended_length"] = question.job.attended_length;
  out["sources"] = OrderedJson::array();
  for (const Source& source : sources_of(question)) {
    out["sources"].push_back({{"of", source.of},
                              {"note", source.provenance.note},
                              {"host", source.provenance.host},
                              {"date", source.provenance.date}});
    const auto& reference = source.provenance.reference_ms;
    if (reference) out["sources"].back()["reference_ms"] = *reference;
  }
  if (const auto texts = extrapolated(question); !texts.empty()) out["extrapolated"] = texts;
  return out;
}

OrderedJson throughput_to_json(const Throughput& throughput, const Question& question) {
  OrderedJson out = {{"tokens_per_second", throughput.tokens_per_second},
                     {"tokens_per_second_per_device", throughput.tokens_per_second_per_device},
                     {"flops_per_step", throughput.flops_per_step}};
  if (throughput.mfu) {
    out["mfu"] = *throughput.mfu;
    out["mfu_convention"] = kMfuConvention;
    out["peak_flops_per_device"] = question.peak_flops;
  }
  if (throughput.days) {
    out["tokens"] = *question.tokens;
    out["days"] = *throughput.days;
    out["device_hours"] = *throughput.device_hours;
  }
  return out;
}

void add_answer(OrderedJson& section, const Question& question, const plan::Plan& plan,
                const cost::PlanCost& cost) {
  section["question"] = question_to_json(question, plan.global_batch);
  const std::vector<std::string> texts = extrapolated(question, plan);
  if (!texts.empty()) section["question"]["extrapolated"] = texts;
  section["throughput"] = throughput_to_json(throughput(question, plan, cost), question);
}

OrderedJson search_to_json(const Question& question, const search::SearchResult& result) {
  OrderedJson out = search::search_to_json(result, question.memory);
  add_answer(out, question, result.best->plan, result.best->cost);
  return out;
}

}  // namespace galvatron::planning
