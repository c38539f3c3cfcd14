// T5's documents in one sample are what they are one by one, under any plan.
#include "galvatron/train/text_samples.h"

#include <array>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "galvatron/models/registry.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/spec/span_corruption.h"
#include "galvatron/train/evaluation.h"

#include "data/token_file.h"
#include "test_threads.h"
#include "train/tiny_training.h"

namespace galvatron::train {
namespace {

using spec::InputKind;

constexpr std::int64_t kPackedLength = 48;
constexpr int kTextVocabulary = 90;

spec::ModelSpec tiny_t5() {
  return spec::model_from_config({{"model_type", "t5"},
                                  {"vocab_size", 101},
                                  {"d_model", 32},
                                  {"d_kv", 8},
                                  {"d_ff", 48},
                                  {"num_layers", 2},
                                  {"num_heads", 4},
                                  {"relative_attention_num_buckets", 8},
                                  {"relative_attention_max_distance", 16},
                                  {"dropout_rate", 0.0}},
                                 "tiny-t5");
}

// A sample without documents, padding or a plan that cuts it: what there is of each kind.
class OneSample : public data::SampleSource {
 public:
  explicit OneSample(std::map<InputKind, at::Tensor> whole) : whole_(std::move(whole)) {}
  std::int64_t size() const override { return 1; }
  std::int64_t seq_length() const override { return whole_.at(InputKind::kTokens).size(1); }
  at::Tensor fetch(InputKind kind, std::int64_t, Range samples, Range tokens) const override {
    return whole_.at(kind)
        .narrow(0, samples.begin, samples.size())
        .narrow(1, tokens.begin, tokens.size());
  }
  double num_labels(std::int64_t, std::int64_t count) const override {
    return static_cast<double>(count * whole_.at(InputKind::kLabels).size(1));
  }

 private:
  std::map<InputKind, at::Tensor> whole_;
};

// Text `id` of a sample alone; empty where there are fewer.
std::map<InputKind, at::Tensor> text_of(const data::SampleSource& samples, std::int64_t sample,
                                        std::int64_t id) {
  const std::int64_t targets = spec::span_corruption(kPackedLength).targets;
  std::map<InputKind, at::Tensor> out;
  for (const InputKind kind : {InputKind::kTokens, InputKind::kTargetTokens, InputKind::kLabels}) {
    const bool is_read = kind == InputKind::kTokens;
    const Range tokens{0, is_read ? kPackedLength : targets};
    const at::Tensor ids = samples.fetch(
        is_read ? InputKind::kDocuments : InputKind::kTargetDocuments, sample, {0, 1}, tokens);
    const at::Tensor own =
        samples.fetch(kind, sample, {0, 1}, tokens).masked_select(ids.eq(id)).unsqueeze(0);
    if (own.numel() == 0) return {};
    out[kind] = own;
  }
  return out;
}

EvaluationSummary scores_of(const data::SampleSource& samples, const spec::ModelSpec& model,
                            const plan::Plan& plan) {
  const std::int64_t length = samples.seq_length();
  plan::require_valid_plan(plan, model, {plan.world_size, length});
  EvaluationSummary out;
  comm::run_rank_threads(plan.world_size, [&](comm::World& world) {
    use_test_threads();
    runtime::Engine engine(model, plan, world, models::make_layer, {kSeed, length, true});
    const EvaluationSummary found = evaluate(engine, samples, 0);
    if (world.rank() == 0) out = found;
  });
  return out;
}

plan::Plan t5_plan(const spec::ModelSpec& model, std::int64_t length, std::int64_t global_batch,
                   int world_size = 1, const plan::LayerStrategy& strategy = {}, int pp_degree = 1,
                   int num_microbatches = 1) {
  return plan::uniform_plan(model, {length, global_batch, spec::Precision::kFp64}, world_size,
                            strategy, pp_degree, num_microbatches);
}

// The longest texts of their inputs: their targets are as long as those of a sample, so that each
// can be one.
void write_documents(const std::string& prefix) {
  std::mt19937 random(9);
  std::vector<std::vector<std::uint16_t>> documents;
  constexpr std::array<std::int64_t, 6> kInputs = {9, 14, 20, 33, 12, 48};
  for (std::size_t i = 0; i < 24; ++i) {
    const std::int64_t text = spec::span_corruption(kInputs[i % kInputs.size()]).text;
    auto& document = documents.emplace_back(static_cast<std::size_t>(text));
    for (std::uint16_t& token : document)
      token = static_cast<std::uint16_t>(random() % kTextVocabulary);
  }
  data::write_token_pair<std::uint16_t>(prefix, 8, documents);
}

TEST(TextSamples, PackedSpansAreThoseOfTheirDocumentsOneByOne) {
  const data::TemporaryFolder folder;
  const spec::ModelSpec model = tiny_t5();
  TrainJob job;
  job.data = folder / "corpus";
  job.split = "1";
  job.seed = kSeed;
  job.documents = data::DocumentMode::kPacked;
  write_documents(job.data);
  const auto samples = make_text_samples(job, model, kPackedLength, data::SplitPart::kTrain);
  double sum = 0, labels = 0;
  for (std::int64_t sample = 0; sample < samples->size(); ++sample) {
    for (std::int64_t id = 1;; ++id) {
      auto text = text_of(*samples, sample, id);
      if (text.empty()) break;
      const OneSample alone(std::move(text));
      const EvaluationSummary found =
          scores_of(alone, model, t5_plan(model, alone.seq_length(), 1));
      sum += found.loss * static_cast<double>(found.labels);
      labels += static_cast<double>(found.labels);
    }
  }
  const auto plan = [&](auto... rest) { return t5_plan(model, kPackedLength, 5, rest...); };
  const plan::LayerStrategy tensors{.tp_degree = 2}, sequences{.ulysses_degree = 2};
  for (const plan::Plan& one : {plan(), plan(2, tensors), plan(2, sequences, 1, 3),
                                plan(4, plan::LayerStrategy{}, 2, 2), plan(4, tensors, 2, 3)}) {
    const EvaluationSummary found = scores_of(*samples, model, one);
    EXPECT_EQ(static_cast<double>(found.labels), labels);
    EXPECT_NEAR(found.loss, sum / labels, 1e-10 * found.loss) << plan::summarize(one);
  }
}

}  // namespace
}  // namespace galvatron::train
