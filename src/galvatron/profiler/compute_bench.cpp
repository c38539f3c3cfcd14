#include "galvatron/profiler/compute_bench.h"

#include <algorithm>
#include <cmath>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/profiler/agreement.h"
#include "galvatron/profiler/stopwatch.h"
#include "galvatron/train/optimizers/optimizer.h"

namespace galvatron::profiler {
namespace {

// One rank alone computes this long.
constexpr double kContentionMs = 10;
constexpr int kContentionRounds = 101;
constexpr double kOverlapMs = 20;
constexpr int kOverlapRounds = 15;
constexpr double kWorstOverlap = 4;

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

// fp32 elements of an all-reduce over all ranks that takes about kOverlapMs.
at::Tensor sized_message(const comm::World& world) {
  const auto options = at::TensorOptions().dtype(at::kFloat).device(world.device());
  constexpr std::int64_t kProbe = 1 << 18, kMost = 1 << 24;
  at::Tensor probe = at::zeros({kProbe}, options);
  world.all().all_reduce(probe);
  const double once =
      Agreement(world).max(time_of([&] { world.all().all_reduce(probe); }, world.device()).value);
  const auto count = static_cast<std::int64_t>(kProbe * kOverlapMs / std::max(once, 1e-3));
  return at::zeros({std::clamp(count, kProbe / 16, kMost)}, options);
}

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

// Every round one rank alone, then the counts: the machine's own pace cancels.
std::vector<profiles::ContentionPoint> measure_contention(const comm::World& world,
                                                          const ComputeLoad& load, int local_ranks,
                                                          double rounds) {
  const Agreement agreement(world);
  const int local_rank = world.rank() % local_ranks;
  // Calibrated by one rank of a machine while the others wait.
  double calibrated = 0;
  if (local_rank == 0) calibrated = load.times_for(kContentionMs);
  const int times = static_cast<int>(agreement.max(calibrated));
  const auto mean_time = [&](int count) {
    const bool computes = local_rank < count;
    world.all().barrier();
    const double mine = computes ? time_of([&] { load.run(times); }, world.device()).value : 0;
    return agreement.sum(mine) / agreement.sum(computes ? 1 : 0);
  };
  const std::vector<int> counts = counts_up_to(local_ranks);
  std::vector<std::vector<double>> ratios(counts.size());
  for (int round = 0; round < some(kContentionRounds, rounds); ++round) {
    const double alone = mean_time(1);
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] > 1) ratios[i].push_back(mean_time(counts[i]) / alone);
    }
  }
  std::vector<profiles::ContentionPoint> points = {{1, 1}};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 1) continue;
    points.push_back({static_cast<double>(counts[i]),
                      std::max(points.back().slowdown, median(std::move(ratios[i])))});
  }
  return points;
}

double measure_overlap(const comm::World& world, const ComputeLoad& load, double rounds) {
  if (world.size() == 1) return 1;
  const Agreement agreement(world);
  at::Tensor message = sized_message(world);
  const auto time_once = [&](const std::function<void()>& work) {
    world.all().barrier();
    return agreement.mean(time_of(work, world.device()).value);
  };
  const auto agreed_time = [&](const std::function<void()>& work) {
    return median_of_rounds(3, [&] { return time_once(work); });
  };
  const auto communicate = [&] { world.all().all_reduce(message); };
  const double one = agreed_time([&] { load.run(1); });
  const int times = std::max(1, static_cast<int>(std::lround(agreed_time(communicate) / one)));
  return median_of_rounds(some(kOverlapRounds, rounds), [&] {
    const double communication = time_once(communicate);
    const double compute = time_once([&] { load.run(times); });
    const double both = time_once([&] {
      comm::Pending pending = world.all().all_reduce_async(message);
      load.run(times);
      pending.wait();
    });
    const double longer = std::max(compute, communication);
    const double shorter = std::min(compute, communication);
    return std::clamp((both - (longer - shorter)) / shorter, 1.0, kWorstOverlap);
  });
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
