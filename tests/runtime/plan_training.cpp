#include "runtime/plan_training.h"

#include <mutex>

#include "galvatron/base/error.h"
#include "galvatron/models/registry.h"
#include "galvatron/nn/counter_random.h"

#include "test_threads.h"

namespace galvatron::testing {
namespace {

// Tokens and images that are a function of (seed, step, sample, position), every seventh label
// ignored.
class HashedInputs : public runtime::InputSource {
 public:
  HashedInputs(const TrainingCase& job, int step) : job_(job), step_(step) {}

  at::Tensor fetch(spec::InputKind kind, Range samples, Range tokens) override {
    switch (kind) {
      case spec::InputKind::kTokens:
        return rows(samples, tokens, [&](auto b, auto s) { return token(b, s); });
      case spec::InputKind::kTargetTokens:
        return rows(samples, tokens, [&](auto b, auto s) { return token(b, s + 500); });
      case spec::InputKind::kLabels:
        return rows(samples, tokens, [&](auto b, auto s) { return label(b, s); });
      case spec::InputKind::kImages:
        return images(samples);
      case spec::InputKind::kClasses:
        return rows(samples, {0, 1}, [&](auto b, auto) { return picture_class(b); }).squeeze(1);
      case spec::InputKind::kDocuments:
        return rows(samples, tokens, [&](auto b, auto s) { return document(b, s); });
      case spec::InputKind::kTargetDocuments:
        return rows(samples, tokens, [&](auto b, auto s) { return document(b, s + 500); });
      case spec::InputKind::kPositions:
        return rows(samples, tokens, [&](auto b, auto s) { return (s + b) % job_.seq_length; });
      case spec::InputKind::kTokenTypes:
        return rows(samples, tokens,
                    [&](auto b, auto s) { return token(b, s + 250) % job_.model.num_token_types; });
      case spec::InputKind::kSecondClasses:
        return second_classes(samples);
    }
    return {};
  }

  bool says(spec::InputKind kind) const override {
    switch (kind) {
      case spec::InputKind::kDocuments:
      case spec::InputKind::kTargetDocuments:
        return job_.documents;
      case spec::InputKind::kPositions:
        return job_.positions;
      case spec::InputKind::kTokenTypes:
        return job_.token_types;
      case spec::InputKind::kSecondClasses:
        return job_.mixes_images;
      default:
        return false;
    }
  }

  double num_labels() override {
    if (job_.model.task == spec::Task::kImageClasses) return static_cast<double>(job_.global_batch);
    double count = 0;
    const std::int64_t length = job_.model.layers.end()[-2].outputs[0].length(job_.seq_length);
    for (std::int64_t b = 0; b < job_.global_batch; ++b) {
      for (std::int64_t s = 0; s < length; ++s) count += label(b, s) == nn::kIgnoreLabel ? 0 : 1;
    }
    return count;
  }

 private:
  std::int64_t token(std::int64_t sample, std::int64_t position) const {
    const auto index = static_cast<std::uint64_t>((step_ * 1000 + sample) * 1000 + position);
    return static_cast<std::int64_t>(scramble(job_.seed * 77 + index) %
                                     static_cast<std::uint64_t>(job_.model.vocab_size));
  }
  std::int64_t label(std::int64_t sample, std::int64_t position) const {
    const bool ignored = job_.ignore_some_labels && (sample * 31 + position) % 7 == 3;
    return ignored ? nn::kIgnoreLabel : token(sample, position + 1);
  }

  std::int64_t picture_class(std::int64_t sample) const {
    const auto index = static_cast<std::uint64_t>(step_ * 1000 + sample);
    return static_cast<std::int64_t>(scramble(job_.seed * 78 + index) %
                                     static_cast<std::uint64_t>(job_.model.image.num_classes));
  }
  at::Tensor second_classes(Range samples) const {
    at::Tensor out = at::empty({samples.size(), 2}, at::kDouble);
    for (std::int64_t b = 0; b < samples.size(); ++b) {
      out[b][0] = picture_class(samples.begin + b + 1);
      out[b][1] = static_cast<double>((samples.begin + b) % 5) / 4;
    }
    return out;
  }
  // Documents of a few tokens, every fifth of them padding instead; now and then a whole sample is.
  std::int64_t document(std::int64_t sample, std::int64_t position) const {
    const auto index = static_cast<std::uint64_t>(step_ * 1000 + sample);
    const auto length = static_cast<std::int64_t>(scramble(job_.seed * 79 + index) % 9) + 1;
    const std::int64_t id = position % 500 / length + 1;
    return (id + sample) % 5 == 0 ? 0 : id;
  }
  template <typename Value>
  static at::Tensor rows(Range samples, Range tokens, const Value& value) {
    at::Tensor out = at::empty({samples.size(), tokens.size()}, at::kLong);
    for (std::int64_t b = 0; b < samples.size(); ++b) {
      for (std::int64_t s = 0; s < tokens.size(); ++s)
        out[b][s] = value(samples.begin + b, tokens.begin + s);
    }
    return out;
  }
  at::Tensor images(Range samples) const {
    const spec::ImageSpec& image = job_.model.image;
    at::Tensor out =
        at::empty({samples.size(), image.channels, image.height, image.width}, at::kDouble);
    for (std::int64_t b = 0; b < samples.size(); ++b) {
      const auto key =
          nn::random_key(job_.seed, "image." + std::to_string(step_ * 1000 + samples.begin + b));
      nn::fill_normal(out[b].data_ptr<double>(), out[b].numel(), key, 0, 1);
    }
    return out;
  }

  const TrainingCase& job_;
  int step_;
};

// Parts of whole tensors, written by several ranks. Replicas must agree to the bit.
class WholeTensors {
 public:
  void add(const runtime::ParamSlot& slot, const at::Tensor& local) {
    const std::lock_guard lock(mutex_);
    at::Tensor& global = tensors_[slot.full_name];
    if (!global.defined()) global = at::full(slot.spec->shape, std::nan(""), local.options());
    const at::Tensor before = runtime::local_from_global(slot, global);
    const bool written = !before.isnan().any().item<bool>();
    if (written) {
      GALV_CHECK(at::equal(before, local), "replicas of ", slot.full_name, " differ by ",
                 (before - local).abs().max().item<double>());
    }
    runtime::copy_into_global(slot, local, global);
  }
  std::map<std::string, at::Tensor> take() { return std::move(tensors_); }

 private:
  std::mutex mutex_;
  std::map<std::string, at::Tensor> tensors_;
};

void collect(runtime::Engine& engine, WholeTensors& out, bool gradients) {
  for (runtime::ParamUnit* unit : engine.units()) {
    const at::Tensor& owned = gradients ? unit->gradient() : unit->master();
    const at::Tensor flat = unit->gather_owned(owned.clone());
    for (std::size_t i = 0; i < unit->slots().size(); ++i) {
      out.add(unit->slots()[i], unit->slot_view(flat, static_cast<int>(i)));
    }
  }
}

}  // namespace

plan::Plan single_rank_plan(const TrainingCase& job, spec::Precision precision) {
  return plan::uniform_plan(job.model, {job.seq_length, job.global_batch, precision}, 1, {});
}

StepNumbers train_step(const TrainingCase& job, runtime::Engine& engine,
                       train::Optimizer& optimizer, int step,
                       const std::function<void()>& on_gradients) {
  HashedInputs tokens(job, step);
  engine.run_step(tokens, step);
  if (on_gradients) on_gradients();
  optimizer.drop_frozen_gradients();
  const runtime::StepTotals totals = engine.totals();
  optimizer.step(job.learning_rate, train::clip_factor(totals.gradient_norm, job.max_grad_norm));
  engine.publish();
  return {totals.loss, totals.gradient_norm};
}

TrainingResult train(const TrainingCase& job, const plan::Plan& plan, comm::BackendKind backend) {
  TrainingResult result;
  WholeTensors gradients, parameters;
  comm::run_rank_threads(
      plan.world_size,
      [&](comm::World& world) {
        use_test_threads();
        runtime::Engine engine(job.model, plan, world, models::make_layer,
                               {job.seed, job.seq_length, true, job.label_smoothing, job.linears});
        const auto optimizer = train::make_optimizer(engine.units(), job.optimizer);
        optimizer->set_groups({job.param_groups, job.model});
        for (int step = 0; step < job.steps; ++step) {
          const StepNumbers numbers = train_step(job, engine, *optimizer, step, [&] {
            if (step == 0) collect(engine, gradients, true);
          });
          if (world.rank() != 0) continue;
          result.losses.push_back(numbers.loss);
          result.grad_norms.push_back(numbers.grad_norm);
        }
        HashedInputs tokens(job, job.steps);
        const runtime::Scores evaluation = engine.evaluate(tokens);
        if (world.rank() == 0) result.evaluation = evaluation;
        collect(engine, parameters, false);
      },
      backend);
  result.first_gradients = gradients.take();
  result.parameters = parameters.take();
  return result;
}

Difference difference(const TrainingResult& expected, const TrainingResult& actual) {
  Difference worst;
  const auto note = [&](double value, const std::string& where) {
    if (!(value <= worst.value)) worst = {value, where};  // also a NaN
  };
  const auto compare = [&](double a, double b, const std::string& where) {
    note(std::abs(a - b) / std::max(std::abs(a), 1e-300), where);
  };
  const auto compare_maps = [&](const auto& a, const auto& b, const std::string& what) {
    GALV_CHECK(a.size() == b.size(), a.size(), " ", what, "s, then ", b.size());
    for (const auto& [name, tensor] : a) {
      const double scale = std::max(tensor.abs().max().template item<double>(), 1e-6);
      note((tensor - b.at(name)).abs().max().template item<double>() / scale, what + " of " + name);
    }
  };
  GALV_CHECK(expected.losses.size() == actual.losses.size() && !expected.losses.empty());
  for (std::size_t i = 0; i < expected.losses.size(); ++i) {
    compare(expected.losses[i], actual.losses[i], "loss of step " + std::to_string(i));
    compare(expected.grad_norms[i], actual.grad_norms[i],
            "gradient norm of step " + std::to_string(i));
  }
  compare(expected.evaluation.loss, actual.evaluation.loss, "evaluation loss");
  compare(expected.evaluation.accuracy, actual.evaluation.accuracy, "accuracy");
  compare_maps(expected.first_gradients, actual.first_gradients, "gradient");
  compare_maps(expected.parameters, actual.parameters, "parameter");
  return worst;
}

}  // namespace galvatron::testing
