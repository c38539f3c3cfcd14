// One rank of the whole runtime (engine, clipping, AdamW) beside a hand-written LibTorch loop of
// the same GPT: steps in turn in one process, from the same weights on the same tokens. Prints the
// ratio of their times and its spread. Goal: at most 1.05.
#include <algorithm>
#include <cstdio>
#include <ctime>

#include <CLI/CLI.hpp>

#include "galvatron/base/progress.h"
#include "galvatron/comm/launch.h"
#include "galvatron/models/registry.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/train/optimizers/optimizer.h"

#include "overhead/plain_gpt.h"

namespace galvatron::bench {
namespace {

constexpr double kGoal = 1.05;
constexpr double kLearningRate = 1e-3;
constexpr double kLossTolerance = 1e-4;
constexpr double kSecondsPerSize = 18;
constexpr int kMinPairs = 4;

struct Size {
  const char* name;
  std::int64_t hidden, heads, blocks, vocab_size, seq_length, batch;
  int pairs;
};

class FixedBatch : public runtime::InputSource {
 public:
  FixedBatch(const Size& size)
      : tokens_(at::randint(size.vocab_size, {size.batch, size.seq_length}, at::kLong)),
        labels_(at::randint(size.vocab_size, {size.batch, size.seq_length}, at::kLong)) {}
  at::Tensor fetch(spec::InputKind kind, Range samples, Range tokens) override {
    const at::Tensor& all = kind == spec::InputKind::kTokens ? tokens_ : labels_;
    return all.narrow(0, samples.begin, samples.size()).narrow(1, tokens.begin, tokens.size());
  }
  double num_labels() override { return static_cast<double>(labels_.numel()); }
  const at::Tensor& tokens() const { return tokens_; }
  const at::Tensor& labels() const { return labels_; }

 private:
  at::Tensor tokens_, labels_;
};

spec::ModelSpec make_model(const Size& size) {
  const Json config = {{"model_type", "gpt2"},
                       {"vocab_size", size.vocab_size},
                       {"n_positions", size.seq_length},
                       {"n_embd", size.hidden},
                       {"n_layer", size.blocks},
                       {"n_head", size.heads},
                       {"resid_pdrop", 0},
                       {"embd_pdrop", 0},
                       {"attn_pdrop", 0},
                       {"tie_word_embeddings", true}};
  return spec::model_from_config(config, size.name);
}

// The runtime at one rank.
class OurTrainer {
 public:
  OurTrainer(const Size& size)
      : model_(make_model(size)),
        plan_(plan::uniform_plan(model_, {size.seq_length, size.batch, spec::Precision::kFp32}, 1,
                                 {})),
        world_(comm::single_world()),
        engine_(model_, plan_, world_, models::make_layer, {1, size.seq_length, true}),
        optimizer_(train::make_optimizer(engine_.units())) {}

  double step(runtime::InputSource& input) {
    const double loss = phases.time("forward and backward", [&] {
      return engine_.forward_backward(input, optimizer_->num_steps());
    });
    const double norm = phases.time("norm", [&] { return engine_.gradient_norm(); });
    phases.time("update", [&] {
      optimizer_->step(kLearningRate, train::clip_factor(norm, 1.0));
      engine_.publish();
    });
    return loss;
  }

  Phases phases;

  void copy_weights_to(PlainGpt& plain) {
    const torch::NoGradGuard no_grad;
    auto targets = plain->by_name();
    for (runtime::ParamUnit* unit : engine_.units()) {
      for (std::size_t i = 0; i < unit->slots().size(); ++i) {
        at::Tensor& target = targets.at(unit->slots()[i].full_name);
        target.copy_(unit->slot_view(unit->master(), static_cast<int>(i)));
      }
    }
  }

 private:
  spec::ModelSpec model_;
  plan::Plan plan_;
  comm::World world_;
  runtime::Engine engine_;
  std::unique_ptr<train::Optimizer> optimizer_;
};

struct Times {
  std::vector<double> wall, processor;  // seconds

  template <typename Work>
  double add(const Work& work) {
    const double wall_start = now_seconds();
    const std::clock_t start = std::clock();
    const double result = work();
    wall.push_back(now_seconds() - wall_start);
    processor.push_back(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    return result;
  }
};

struct Quartiles {
  double low, middle, high;
};

Quartiles quartiles(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
  };
  return {at(0.25), at(0.5), at(0.75)};
}

Quartiles ratios(const std::vector<double>& ours, const std::vector<double>& plain) {
  std::vector<double> out;
  for (std::size_t i = 0; i < ours.size(); ++i) out.push_back(ours[i] / plain[i]);
  return quartiles(std::move(out));
}

// False when the two did not train the same model.
bool compare(const Size& size) {
  torch::manual_seed(1);
  FixedBatch batch(size);
  OurTrainer ours(size);
  PlainGpt model(PlainGptShape{size.vocab_size, size.seq_length, size.hidden, size.heads,
                               size.blocks, 4 * size.hidden});
  ours.copy_weights_to(model);
  PlainTrainer plain(model, kLearningRate);

  Times our_times, plain_times;
  double our_loss = 0, plain_loss = 0;
  const double started = now_seconds();
  for (int i = -2; i < size.pairs; ++i) {
    if (i >= kMinPairs && now_seconds() - started > kSecondsPerSize) break;
    Times warm_up;
    const bool counts = i >= 0;
    const auto run_ours = [&] {
      our_loss = (counts ? our_times : warm_up).add([&] { return ours.step(batch); });
    };
    const auto run_plain = [&] {
      plain_loss = (counts ? plain_times : warm_up).add([&] {
        return plain.step(batch.tokens(), batch.labels());
      });
    };
    // Who goes first changes, so that neither profits from the other's warm caches.
    if (i % 2 == 0) {
      run_ours(), run_plain();
    } else {
      run_plain(), run_ours();
    }
  }
  const Quartiles wall = ratios(our_times.wall, plain_times.wall);
  const Quartiles processor = ratios(our_times.processor, plain_times.processor);
  std::printf(
      "%-7s  ours %7.1f ms  plain %7.1f ms  ratio %.3f (quartiles %.3f to %.3f)  of processor "
      "time %.3f (%.3f to %.3f)  losses %.6f %.6f\n",
      size.name, 1e3 * quartiles(our_times.wall).middle, 1e3 * quartiles(plain_times.wall).middle,
      wall.middle, wall.low, wall.high, processor.middle, processor.low, processor.high, our_loss,
      plain_loss);
  const int steps = static_cast<int>(our_times.wall.size()) + 2;
  std::printf("         ours:  %s\n         plain: %s\n", ours.phases.text(steps).c_str(),
              plain.phases.text(steps).c_str());
  return std::abs(our_loss - plain_loss) < kLossTolerance;
}

int run(int threads, const std::string& only) {
  comm::prepare_process();
  if (threads > 0) at::set_num_threads(threads);
  std::printf(
      "overhead: one step of the runtime against a hand-written LibTorch loop, %d threads, "
      "goal %.2f\n",
      at::get_num_threads(), kGoal);
  // The first has so little work that every call shows; the others are what small training is.
  const std::vector<Size> sizes = {{"tiny", 64, 4, 4, 512, 64, 4, 40},
                                   {"small", 256, 8, 6, 4096, 256, 4, 24},
                                   {"medium", 512, 8, 8, 8192, 256, 4, 10}};
  bool same = true;
  for (const Size& size : sizes) {
    if (only.empty() || only == size.name) same = compare(size) && same;
  }
  if (!same) std::printf("the two did not train the same model\n");
  return same ? 0 : 1;
}

}  // namespace
}  // namespace galvatron::bench

int main(int argc, char** argv) {
  CLI::App app("The runtime's overhead at one rank");
  int threads = 0;
  app.add_option("--threads", threads, "Threads of both; 0: torch's choice");
  std::string only;
  app.add_option("--only", only, "tiny, small or medium; all by default");
  CLI11_PARSE(app, argc, argv);
  return galvatron::bench::run(threads, only);
}
