#include "galvatron/profiler/model_profiler.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/profiler/agreement.h"
#include "galvatron/profiler/compute_bench.h"
#include "galvatron/profiler/layer_bench.h"
#include "galvatron/profiler/machine.h"
#include "galvatron/profiler/reference_load.h"

namespace galvatron::profiler {
namespace {

constexpr int kLargestDefaultDegree = 8;
const std::vector<std::int64_t> kFirstSamples = {1, 2, 4};
constexpr std::int64_t kMostSamples = 64;
// A sample that takes so little less where there are twice as many is as fast as it gets.
constexpr double kFlat = 0.95;
constexpr int kUlysses = 2;      // the degree by which its copies are measured
constexpr int kMemoryShare = 4;  // that a layer's measurements may take: one part in so many

// What is wrong with dividing the model by `degree`; nullopt when nothing is.
std::optional<std::string> problem_with_degree(const spec::ModelSpec& model, int degree,
                                               std::int64_t seq_length) {
  for (const spec::LayerSpec& layer : model.layers) {
    for (const spec::StreamSpec& stream : layer.outputs) {
      const std::int64_t length = stream.length(seq_length);
      if (degree <= length) continue;
      return fmt::format("tp_degree {} is more than the {} tokens of a sample", degree, length);
    }
  }
  plan::LayerStrategy strategy;
  strategy.tp_degree = degree;
  for (const spec::LayerSpec& layer : model.layers) {
    if (auto problem = plan::check_layer_strategy(strategy, layer, degree)) return problem;
  }
  return std::nullopt;
}

std::vector<int> degrees_to_measure(const spec::ModelSpec& model,
                                    const ModelProfileOptions& options) {
  std::vector<int> degrees = options.tp_degrees;
  for (const int degree : degrees) {
    const auto problem = problem_with_degree(model, degree, options.seq_length);
    if (problem) throw ConfigError("[profile] --tp-degrees ", degree, ": ", *problem);
  }
  if (degrees.empty()) {
    for (int degree = 1; degree <= kLargestDefaultDegree; degree *= 2) {
      if (!problem_with_degree(model, degree, options.seq_length)) degrees.push_back(degree);
    }
  }
  std::sort(degrees.begin(), degrees.end());
  degrees.erase(std::unique(degrees.begin(), degrees.end()), degrees.end());
  return degrees;
}

std::vector<std::int64_t> samples_to_measure(const ModelProfileOptions& options) {
  if (options.microbatch_sizes.empty()) return kFirstSamples;
  std::vector<std::int64_t> samples = options.microbatch_sizes;
  std::sort(samples.begin(), samples.end());
  samples.erase(std::unique(samples.begin(), samples.end()), samples.end());
  if (samples.front() < 1) {
    throw ConfigError("[profile] --microbatch-sizes: each is at least 1");
  }
  return samples;
}

void check_seq_length(const spec::ModelSpec& model, std::int64_t seq_length) {
  if (seq_length < 1 || seq_length > model.max_positions) {
    throw ConfigError("[profile] --seq-length ", seq_length, " is not within 1 and the ",
                      model.max_positions, " positions of ", model.name);
  }
}

class ModelProfiler {
 public:
  ModelProfiler(const spec::ModelSpec& model, const ModelProfileOptions& options)
      : model_(model),
        options_(options),
        degrees_(degrees_to_measure(model, options)),
        samples_(samples_to_measure(options)),
        reference_(options.device),
        memory_(device_memory(options.device, 1)),
        deadline_(options.seconds) {}

  profiles::ModelProfile run() {
    profiles::ModelProfile out;
    const std::vector<std::string> names = model_.type_names();
    num_parts_ = static_cast<int>(names.size() * degrees_.size());
    out.provenance = measured_here(
        options_.seed, fmt::format("measured in one process, threads: {}", at::get_num_threads()));
    out.model = model_.name;
    out.seq_length = options_.seq_length;
    out.precision = options_.precision;
    out.device = device_name(options_.device);
    for (int type = 0; type < static_cast<int>(names.size()); ++type) {
      const std::string& name = names[static_cast<std::size_t>(type)];
      out.types.push_back(is_first() ? measure_type(type, name) : profiles::LayerTypeProfile{name});
    }
    if (is_first()) {
      set_pace(out);
      out.provenance.spread = median(spreads_);
      out.provenance.other_load = load_.cores(load_.own_seconds());
    }
    if (options_.ranks) measure_contention(out);
    tell("done");
    return out;
  }

 private:
  // Of the time of the repetitions, for every kind of layer.
  static constexpr double kContentionShare = 0.3;

  bool is_first() const { return !options_.ranks || options_.ranks->rank() == 0; }

  // Every kind of layer at the lowest degree, and at samples that are no longer dear.
  void measure_contention(profiles::ModelProfile& out) {
    constexpr int kFewest = 5, kMost = 100;
    const Agreement agreement(*options_.ranks);
    tell("ranks at once");
    std::vector<std::unique_ptr<LayerBench>> benches;
    std::vector<Work> works;
    double ms = 0;  // of all, once
    for (int type = 0; type < static_cast<int>(out.types.size()); ++type) {
      const profiles::LayerMeasurement largest =
          largest_measured(out.types[static_cast<std::size_t>(type)]);
      const auto samples = static_cast<std::int64_t>(agreement.max(largest.samples));
      ms += agreement.max((largest.forward + largest.backward).value);
      benches.push_back(std::make_unique<LayerBench>(
          model_, bench_options(model_.first_layer_of_type(type), degrees_.front(),
                                plan::Recompute::kNone)));
      works.push_back([bench = benches.back().get(), samples] {
        const LayerTimes times = bench->time_once(samples);
        return times.forward + times.backward;
      });
      works.back()();
    }
    const double counts = 1 + std::log2(options_.ranks->size());
    const double rounds = kContentionShare * options_.seconds * 1000 / (counts * ms);
    const auto measured =
        profiler::measure_contention(*options_.ranks, works, options_.ranks->size(),
                                     std::clamp(static_cast<int>(rounds), kFewest, kMost));
    for (std::size_t type = 0; type < measured.size(); ++type)
      out.types[type].contention = measured[type];
  }
  // At the lowest degree; none: nothing.
  profiles::LayerMeasurement largest_measured(const profiles::LayerTypeProfile& entry) const {
    profiles::LayerMeasurement out;
    for (const profiles::LayerMeasurement& m : entry.measurements) {
      if (m.tp_degree == degrees_.front() && m.samples >= out.samples) out = m;
    }
    return out;
  }

  static bool can_recompute_core(const spec::LayerSpec& layer) {
    return !plan::recompute_misfit(layer.kind, plan::Recompute::kSelective);
  }

  void tell(const std::string& what) {
    if (options_.progress) options_.progress(static_cast<double>(parts_done_) / num_parts_, what);
  }

  // Time for the repetitions of the next case.
  double next_share() {
    const double left = std::max(0.0, deadline_.seconds_left());
    return left / std::max(1, num_parts_ - parts_done_++);
  }

  profiles::LayerTypeProfile measure_type(int type, const std::string& name) {
    const int index = model_.first_layer_of_type(type);
    const spec::LayerSpec& layer = model_.layer(index);
    profiles::LayerTypeProfile out;
    out.type = name;
    out.shapes = spec::layer_shapes(layer);
    out.parameter_bytes = {layer.num_params() * spec::compute_bytes(options_.precision)};
    for (const int degree : degrees_) {
      tell(fmt::format("{}, tp {}", name, degree));
      std::vector<profiles::LayerMeasurement> measured = measure_degree(index, degree);
      out.measurements.insert(out.measurements.end(), measured.begin(), measured.end());
    }
    return out;
  }

  // Whether a layer's heads can be shared by twice as many ranks.
  static bool can_exchange_heads(const spec::LayerSpec& layer, int tp_degree) {
    plan::LayerStrategy strategy;
    strategy.tp_degree = tp_degree;
    strategy.ulysses_degree = kUlysses;
    return layer.kind == spec::LayerKind::kBlock &&
           !plan::check_layer_strategy(strategy, layer, kUlysses * tp_degree);
  }

  LayerBenchOptions bench_options(int index, int degree, plan::Recompute recompute) const {
    LayerBenchOptions out;
    out.layer = index;
    out.seq_length = options_.seq_length;
    out.precision = options_.precision;
    out.strategy.tp_degree = degree;
    out.strategy.recompute = recompute;
    out.device = options_.device;
    out.seed = static_cast<std::uint64_t>(options_.seed);
    return out;
  }

  // One layer of one degree in all the ways that are measured; null: not for this layer.
  struct Benches {
    std::unique_ptr<LayerBench> plain, selective, ulysses;
  };
  Benches make_benches(int index, int degree) const {
    const auto make = [&](const LayerBenchOptions& options) {
      return std::make_unique<LayerBench>(model_, options);
    };
    Benches out{make(bench_options(index, degree, plan::Recompute::kNone)), {}, {}};
    if (can_recompute_core(model_.layer(index)))
      out.selective = make(bench_options(index, degree, plan::Recompute::kSelective));
    if (can_exchange_heads(model_.layer(index), degree)) {
      LayerBenchOptions options = bench_options(index, degree, plan::Recompute::kNone);
      options.strategy.ulysses_degree = kUlysses;
      out.ulysses = make(options);
    }
    return out;
  }

  std::vector<profiles::LayerMeasurement> measure_degree(int index, int degree) {
    const Benches benches = make_benches(index, degree);
    std::vector<profiles::LayerMeasurement> out;
    for (const std::int64_t samples : samples_) {
      out.push_back(measure_bytes(degree, samples, benches));
    }
    while (options_.microbatch_sizes.empty() && is_worth_doubling(out.back(), *benches.plain)) {
      const auto samples = static_cast<std::int64_t>(2 * out.back().samples);
      out.push_back(measure_bytes(degree, samples, benches));
    }
    add_times(out, benches);
    return out;
  }

  static profiles::LayerMeasurement measure_bytes(int degree, std::int64_t samples,
                                                  const Benches& benches) {
    profiles::LayerMeasurement m;
    m.tp_degree = degree;
    m.samples = static_cast<double>(samples);
    const LayerBytes bytes = benches.plain->measure_bytes(samples);
    m.activation = m.activation_selective = bytes.activation;
    m.forward_workspace = bytes.forward_workspace;
    m.backward_workspace = bytes.backward_workspace;
    if (benches.selective)
      m.activation_selective = benches.selective->measure_bytes(samples).activation;
    return m;
  }

  // Launches and small matrices make samples dear; is the line beyond `last` still one of these?
  bool is_worth_doubling(const profiles::LayerMeasurement& last, LayerBench& bench) const {
    const auto samples = static_cast<std::int64_t>(last.samples);
    const Bytes next = 2 * (last.activation + last.backward_workspace);
    if (deadline_.passed() || 2 * samples > kMostSamples || kMemoryShare * next > memory_)
      return false;
    const auto ms = [&](std::int64_t count) {
      const LayerTimes times = bench.time_once(count);
      return (times.forward + times.backward).value;
    };
    return ms(samples) < kFlat * 2 * ms(samples / 2);
  }

  // Of one number of samples, over the reference around it.
  struct Readings {
    std::vector<double> forward, backward, again, exchange_forward, exchange_backward;
  };

  // Over the mean of the reference before, `before`, and behind.
  LayerTimes time_beside(LayerBench& bench, std::int64_t samples, double& before) {
    const LayerTimes times = bench.time_once(samples);
    const double behind = reference_.read();
    const double scale = 2 / (before + behind);
    before = behind;
    return {scale * times.forward, scale * times.backward};
  }

  // All take turns with each other and with the reference. In units of the reference, until run()
  // knows what it takes.
  void add_times(std::vector<profiles::LayerMeasurement>& measured, const Benches& benches) {
    std::vector<Readings> all(measured.size());
    std::vector<double> sums;  // of the turns
    const auto once = [&] {
      double sum = 0, before = reference_.read();
      for (std::size_t i = 0; i < measured.size(); ++i) {
        const auto samples = static_cast<std::int64_t>(measured[i].samples);
        const LayerTimes plain = time_beside(*benches.plain, samples, before);
        all[i].forward.push_back(plain.forward.value);
        all[i].backward.push_back(plain.backward.value);
        sum += (plain.forward + plain.backward).value;
        if (benches.selective) {
          const LayerTimes again = time_beside(*benches.selective, samples, before);
          all[i].again.push_back((again.backward - plain.backward).value);
        }
        if (benches.ulysses) {
          const LayerTimes exchange = time_beside(*benches.ulysses, kUlysses * samples, before);
          all[i].exchange_forward.push_back((exchange.forward - plain.forward).value);
          all[i].exchange_backward.push_back((exchange.backward - plain.backward).value);
        }
      }
      sums.push_back(sum);
      return sum;
    };
    const auto added = [](std::vector<double>& readings) {
      return Milliseconds{readings.empty() ? 0 : std::max(0.0, median(std::move(readings)))};
    };
    measure_until_stable(once, {}, Deadline(next_share()));
    spreads_.push_back(relative_spread(std::move(sums)));
    for (std::size_t i = 0; i < measured.size(); ++i) {
      measured[i].forward = {median(std::move(all[i].forward))};
      measured[i].backward = {median(std::move(all[i].backward))};
      measured[i].selective_recompute = added(all[i].again);
      measured[i].ulysses_forward = added(all[i].exchange_forward);
      measured[i].ulysses_backward = added(all[i].exchange_backward);
    }
    // Fewer samples never take longer than more: what says so was disturbed.
    for (std::size_t i = measured.size() - 1; i > 0; --i) {
      measured[i - 1].forward = std::min(measured[i - 1].forward, measured[i].forward);
      measured[i - 1].backward = std::min(measured[i - 1].backward, measured[i].backward);
    }
  }

  // Of numbers in units of the reference.
  void set_pace(profiles::ModelProfile& profile) const {
    const double ms = reference_.typical_ms();
    profile.provenance.reference_ms = ms;
    for (profiles::LayerTypeProfile& type : profile.types) {
      for (profiles::LayerMeasurement& m : type.measurements) {
        m.forward = ms * m.forward;
        m.backward = ms * m.backward;
        m.selective_recompute = ms * m.selective_recompute;
        m.ulysses_forward = ms * m.ulysses_forward;
        m.ulysses_backward = ms * m.ulysses_backward;
      }
    }
  }

  const spec::ModelSpec& model_;
  const ModelProfileOptions& options_;
  std::vector<int> degrees_;
  std::vector<std::int64_t> samples_;
  ReferenceLoad reference_;
  Bytes memory_;
  Deadline deadline_;
  std::vector<double> spreads_;  // of every case
  LoadOfOthers load_;
  int num_parts_ = 0, parts_done_ = 0;
};

}  // namespace

profiles::ModelProfile profile_model(const spec::ModelSpec& model,
                                     const ModelProfileOptions& options) {
  ModelProfileOptions chosen = options;
  chosen.seq_length = model.choose_seq_length(options.seq_length, options.seq_length);
  check_seq_length(model, chosen.seq_length);
  return ModelProfiler(model, chosen).run();
}

}  // namespace galvatron::profiler
