#include "galvatron/train/evaluation.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/layer.h"
#include "galvatron/runtime/layer_call.h"
#include "galvatron/train/batch_input.h"

namespace galvatron::train {
namespace {

// The samples of one epoch: the labels of what follows do not count.
class Once : public data::SampleSource {
 public:
  explicit Once(const data::SampleSource& samples) : samples_(samples) {}

  std::int64_t size() const override { return samples_.size(); }
  std::int64_t seq_length() const override { return samples_.seq_length(); }
  at::Tensor fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                   Range tokens) const override {
    at::Tensor out = samples_.fetch(kind, consumed, samples, tokens);
    const std::int64_t first_beyond = std::max<std::int64_t>(size() - consumed, samples.begin);
    if (!runtime::is_answer(kind) || first_beyond >= samples.end) return out;
    out = out.clone();
    out.narrow(0, first_beyond - samples.begin, samples.end - first_beyond).fill_(nn::kIgnoreLabel);
    return out;
  }
  bool says(spec::InputKind kind) const override { return samples_.says(kind); }
  double num_labels(std::int64_t consumed, std::int64_t count) const override {
    return samples_.num_labels(consumed, std::min(count, size() - consumed));
  }

 private:
  const data::SampleSource& samples_;
};

}  // namespace

EvaluationSummary evaluate(runtime::Engine& engine, const data::SampleSource& samples,
                           std::int64_t num_batches) {
  const Once once(samples);
  const std::int64_t global_batch = engine.plan().global_batch;
  const std::int64_t all = (once.size() + global_batch - 1) / global_batch;
  const double started = now_seconds();
  EvaluationSummary out;
  out.batches = num_batches == 0 ? all : std::min(num_batches, all);
  double sum = 0, correct = 0, labels = 0;
  for (std::int64_t i = 0; i < out.batches; ++i) {
    BatchInput batch(once, global_batch, i * global_batch);
    if (batch.num_labels() == 0) continue;  // no mean
    const runtime::Scores scores = engine.evaluate(batch);
    sum += scores.loss * batch.num_labels();
    correct += scores.accuracy * batch.num_labels();
    labels += batch.num_labels();
  }
  if (labels == 0) throw ConfigError("[data] no label counts in the samples to evaluate on");
  out.loss = sum / labels;
  out.accuracy = correct / labels;
  if (engine.model().task != spec::Task::kImageClasses) out.perplexity = std::exp(out.loss);
  out.labels = static_cast<std::int64_t>(labels);
  out.samples = std::min(out.batches * global_batch, once.size());
  out.tokens = out.samples * once.seq_length();
  out.seconds = now_seconds() - started;
  return out;
}

std::string scores_text(double loss, std::optional<double> perplexity,
                        std::optional<double> accuracy) {
  std::vector<std::string> more;
  if (perplexity) more.push_back(fmt::format("perplexity {:.4g}", *perplexity));
  if (accuracy) more.push_back(fmt::format("accuracy {:.1f} %", 100 * *accuracy));
  return fmt::format("{:.4f}{}", loss,
                     more.empty() ? "" : fmt::format(" ({})", fmt::join(more, ", ")));
}

std::string evaluation_table(const EvaluationSummary& summary, const plan::Plan& plan) {
  std::string out =
      fmt::format("{} on {} ({}), {}: {}, {}\n", plan.model, count_text(plan.world_size, "rank"),
                  summary.device, count_text(summary.batches, "batch"),
                  count_text(summary.samples, "sample"), count_text(summary.labels, "label"));
  out += fmt::format("  plan        {}\n", plan::summarize(plan));
  out += fmt::format("  loss        {}\n",
                     scores_text(summary.loss, summary.perplexity, summary.accuracy));
  const auto a_second = [&](std::int64_t count) {
    return static_cast<double>(count) / summary.seconds;
  };
  out += fmt::format("  throughput  {:.0f} tokens/s", a_second(summary.tokens));
  if (!summary.perplexity) out += fmt::format(", {:.0f} images/s", a_second(summary.samples));
  return out + fmt::format(", in {}\n", to_text(Milliseconds{1000 * summary.seconds}));
}

OrderedJson evaluation_to_json(const EvaluationSummary& summary, const plan::Plan& plan) {
  OrderedJson ranks = OrderedJson::array();
  for (std::size_t rank = 0; rank < summary.peak_memory.size(); ++rank)
    ranks.push_back({{"rank", rank}, {"peak_memory_bytes", summary.peak_memory[rank].value}});
  OrderedJson out{{"model", plan.model},
                  {"device", summary.device},
                  {"world_size", plan.world_size},
                  {"loss", summary.loss}};
  if (summary.perplexity) out["perplexity"] = *summary.perplexity;
  out["accuracy"] = summary.accuracy;
  out["labels"] = summary.labels;
  out["samples"] = summary.samples;
  out["batches"] = summary.batches;
  out["seconds"] = summary.seconds;
  out["tokens_per_second"] = static_cast<double>(summary.tokens) / summary.seconds;
  out["ranks"] = ranks;
  return out;
}

}  // namespace galvatron::train
