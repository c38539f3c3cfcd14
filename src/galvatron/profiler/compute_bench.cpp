#include "galvatron/profiler/compute_bench.h"

#include <algorithm>
#include <cmath>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/profiler/agreement.h"
#include "galvatron/profiler/collective_bench.h"
#include "galvatron/profiler/stopwatch.h"
#include "galvatron/train/optimizers/optimizer.h"

namespace galvatron::profiler {
namespace {

using profiles::Collective;

// One rank alone computes this long.
constexpr double kContentionMs = 10;
constexpr int kContentionRounds = 101;
constexpr double kOverlapMs = 20;
constexpr int kOverlapRounds = 15;

ComputeLoad::Shape busy_shape(c10::Device device) {
  if (device.is_cuda()) return {4096, 4096, 16384, at::kBFloat16};
  return {256, 512, 2048, at::kFloat};
}

std::vector<int> counts_up_to(int most) {
  std::vector<int> counts;
  for (int count = 1; count < most; count *= 2) counts.push_back(count);
  counts.push_back(most);
  return counts;
}

// Of so many rounds a share, at least three.
int some(int rounds, double share) {
  return std::max(3, static_cast<int>(std::lround(rounds * share)));
}

double median_of_rounds(int rounds, const std::function<double()>& measure) {
  std::vector<double> values;
  for (int i = 0; i < rounds; ++i) values.push_back(measure());
  return median(std::move(values));
}

// Starts one over the group, of `count` fp32 elements in all.
comm::Pending start(Collective collective, const comm::Group& group, const at::Tensor& whole,
                    const at::Tensor& part) {
  if (collective == Collective::kAllReduce) return group.all_reduce_async(whole);
  if (collective == Collective::kAllGather) return group.all_gather_async(whole, part);
  return group.reduce_scatter_async(part, whole);
}

// Of one collective beside the load; all ranks agree on it.
class OverlapBench {
 public:
  OverlapBench(const comm::World& world, const comm::Group& group, const ComputeLoad& load,
               Collective collective)
      : world_(world), group_(group), load_(load), collective_(collective), agreement_(world) {}

  profiles::Overlap measure(double rounds) {
    choose_sizes();
    std::vector<double> compute, communication;
    for (int i = 0; i < some(kOverlapRounds, rounds); ++i) {
      const profiles::Overlap one = measure_once();
      compute.push_back(one.compute);
      communication.push_back(one.communication);
    }
    return {median(std::move(compute)), median(std::move(communication))};
  }

 private:
  static constexpr double kMostSlower = 8;

  double time_once(const std::function<void()>& work) const {
    world_.all().barrier();
    return agreement_.mean(time_of(work, world_.device()).value);
  }
  double communicate() const {
    return time_once([this] { start(collective_, group_, whole_, part_).wait(); });
  }

  // A message that takes about kOverlapMs, and half as long a load.
  void choose_sizes() {
    constexpr std::int64_t kProbe = 1 << 18, kMostElements = 1 << 24;
    make_message(kProbe);
    communicate();
    const double once = communicate();
    make_message(std::clamp(static_cast<std::int64_t>(kProbe * kOverlapMs / std::max(once, 1e-3)),
                            kProbe / 16, kMostElements));
    communicate();
    const double one = median_of_rounds(3, [&] { return time_once([&] { load_.run(1); }); });
    times_ = std::max(1, static_cast<int>(std::lround(communicate() / 2 / one)));
  }

  void make_message(std::int64_t elements) {
    const std::int64_t count = std::max<std::int64_t>(1, elements / group_.size());
    const auto options = at::TensorOptions().dtype(at::kFloat).device(world_.device());
    whole_ = at::zeros({count * group_.size()}, options);
    part_ = at::zeros({count}, options);
  }

  // The collective is the longer one: beside it the load takes `beside`, and what is left of it
  // afterwards runs alone.
  profiles::Overlap measure_once() const {
    const double communication = communicate();
    const double compute = time_once([this] { load_.run(times_); });
    double beside = 0;
    const double both = time_once([&] {
      comm::Pending pending = start(collective_, group_, whole_, part_);
      beside = time_of([this] { load_.run(times_); }, world_.device()).value;
      pending.wait();
    });
    beside = agreement_.mean(beside);
    const double progress = std::max(communication - (both - beside), beside / kMostSlower);
    return {std::clamp(beside / compute, 1.0, kMostSlower),
            std::clamp(beside / progress, 1.0, kMostSlower)};
  }

  const comm::World& world_;
  const comm::Group& group_;
  const ComputeLoad& load_;
  Collective collective_;
  Agreement agreement_;
  at::Tensor whole_, part_;
  int times_ = 1;
};

}  // namespace

ComputeLoad::ComputeLoad(c10::Device device) : ComputeLoad(device, busy_shape(device)) {}

ComputeLoad::ComputeLoad(c10::Device device, const Shape& shape) {
  const auto options = at::TensorOptions().dtype(shape.type).device(device);
  input_ = at::full({shape.tokens, shape.hidden}, 0.5, options);
  up_ = at::full({shape.inner, shape.hidden}, 0.01, options);
  down_ = at::full({shape.hidden, shape.inner}, 0.01, options);
}

void ComputeLoad::run(int times) const {
  const at::NoGradGuard no_grad;
  for (int i = 0; i < times; ++i) {
    const at::Tensor inner = at::gelu(at::linear(input_, up_));
    at::layer_norm(input_ + at::linear(inner, down_), {input_.size(1)});
  }
}

int ComputeLoad::times_for(double ms) const {
  run(1);
  const double once = median_of_rounds(3, [&] { return time_of([&] { run(1); }, device()).value; });
  return std::max(1, static_cast<int>(std::lround(ms / std::max(once, 1e-3))));
}

std::vector<profiles::Contention> measure_contention(const comm::World& world,
                                                     const std::vector<Work>& works,
                                                     int local_ranks, int rounds) {
  const Agreement agreement(world);
  const int local_rank = world.rank() % local_ranks;
  const auto mean_time = [&](const Work& work, int count) {
    const bool computes = local_rank < count;
    world.all().barrier();
    const double mine = computes ? work().value : 0;
    return agreement.sum(mine) / agreement.sum(computes ? 1 : 0);
  };
  const std::vector<int> counts = counts_up_to(local_ranks);
  // [work][count]
  std::vector<std::vector<std::vector<double>>> times(
      works.size(), std::vector<std::vector<double>>(counts.size()));
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t w = 0; w < works.size(); ++w) {
      for (std::size_t i = 0; i < counts.size(); ++i)
        times[w][i].push_back(mean_time(works[w], counts[i]));
    }
  }
  std::vector<profiles::Contention> out;
  for (auto& of_work : times) {
    const double alone = trimmed_mean(of_work[0]);
    profiles::Contention& points = out.emplace_back(1, profiles::ContentionPoint{});
    for (std::size_t i = 1; i < counts.size(); ++i) {
      points.push_back({static_cast<double>(counts[i]),
                        std::max(points.back().slowdown, trimmed_mean(of_work[i]) / alone)});
    }
  }
  return out;
}

profiles::Contention measure_contention(const comm::World& world, const ComputeLoad& load,
                                        int local_ranks, double rounds) {
  // Calibrated by one rank of a machine while the others wait.
  double calibrated = 0;
  if (world.rank() % local_ranks == 0) calibrated = load.times_for(kContentionMs);
  const int times = static_cast<int>(Agreement(world).max(calibrated));
  const Work work = [&] { return time_of([&] { load.run(times); }, world.device()); };
  return measure_contention(world, {work}, local_ranks, some(kContentionRounds, rounds)).front();
}

std::vector<profiles::MeasuredOverlap> measure_overlaps(comm::World& world, const ComputeLoad& load,
                                                        int local_ranks, double rounds) {
  std::vector<profiles::MeasuredOverlap> out;
  if (world.size() == 1) return out;
  const auto add = [&](const comm::Group& group, bool crosses_nodes) {
    for (const Collective collective :
         {Collective::kAllReduce, Collective::kAllGather, Collective::kReduceScatter}) {
      out.push_back({collective, crosses_nodes,
                     OverlapBench(world, group, load, collective).measure(rounds)});
    }
  };
  if (local_ranks > 1) add(world.group(group_ranks({local_ranks, 1}, world.rank())), false);
  if (world.size() / local_ranks > 1) add(world.all(), true);
  return out;
}

// The passes over memory of a training step's end: the norm in short pieces, then the update with
// the clipping inside.
double measure_optimizer(const spec::OptimizerSpec& spec, c10::Device device) {
  constexpr std::int64_t kPiece = 1024;
  const std::int64_t count = device.is_cuda() ? std::int64_t{1} << 26 : std::int64_t{1} << 22;
  const auto options = at::TensorOptions().dtype(at::kFloat).device(device);
  train::UpdateGroup group;
  group.decays = true;
  group.weights = {at::full({count}, 0.1, options)};
  group.gradients = {at::full({count}, 0.01, options)};
  for (std::size_t i = 0; i < spec.states.size(); ++i)
    group.states.push_back({at::zeros({count}, options)});
  group.gradient_divisor = at::ones({1}, options);
  const auto optimizer = train::make_optimizer({}, {spec.name, {}});
  optimizer->set_num_steps(1);
  const auto update = [&] {
    const at::NoGradGuard no_grad;
    at::linalg_vector_norm(group.gradients[0].view({-1, kPiece}), 2, at::IntArrayRef{1});
    optimizer->update(group, 1e-4);
  };
  update();
  std::vector<double> times;
  measure_until_stable(
      [&] {
        times.push_back(compute_time_of(update, device).value);
        return times.back();
      },
      {.min = 5, .max = 15}, Deadline(1.0));
  return lower_quartile(std::move(times)) * 1e6 / static_cast<double>(count);
}

}  // namespace galvatron::profiler
