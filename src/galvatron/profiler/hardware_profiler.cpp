#include "galvatron/profiler/hardware_profiler.h"

#include <algorithm>

#include <fmt/format.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/profiler/agreement.h"
#include "galvatron/profiler/collective_bench.h"
#include "galvatron/profiler/compute_bench.h"
#include "galvatron/profiler/machine.h"
#include "galvatron/profiler/reference_load.h"
#include "galvatron/profiler/stopwatch.h"

namespace galvatron::profiler {
namespace {

using profiles::Collective;
using profiles::GroupShape;

std::vector<CollectiveCase> cases_of(int world_size) {
  std::vector<CollectiveCase> cases;
  for (const GroupShape shape : group_shapes(world_size)) {
    for (const Collective collective : {Collective::kAllReduce, Collective::kAllGather,
                                        Collective::kReduceScatter, Collective::kAllToAll}) {
      cases.push_back({collective, shape});
    }
  }
  for (const GroupShape pair : pair_shapes(world_size)) {
    cases.push_back({Collective::kPointToPoint, pair});
  }
  return cases;
}

class HardwareProfiler {
 public:
  HardwareProfiler(comm::World& world, const HardwareProfileOptions& options)
      : world_(world),
        options_(options),
        agreement_(world),
        reference_(world.device()),
        cases_(cases_of(world.size())) {}

  profiles::HardwareProfile run() {
    measure_machine();
    CollectiveBench collectives(world_);
    measure_compute();
    measure_collectives(collectives);
    const double reference = world_.rank() == 0 ? reference_.typical_ms() : 0;
    out_.provenance.reference_ms = agreement_.max(reference);
    if (options_.progress) options_.progress(1, "done");
    return std::move(out_);
  }

 private:
  // Of the work, what is not collectives.
  static constexpr double kComputeShare = 0.1;

  void tell(const std::string& what) {
    const double parts = 2 + static_cast<double>(spec::optimizers().size());
    if (options_.progress) options_.progress(kComputeShare * parts_done_ / parts, what);
    ++parts_done_;
    read_reference();
  }

  // Of one rank alone, now and then, while the others wait.
  void read_reference() {
    constexpr int kReadings = 10;
    if (world_.rank() == 0) {
      for (int i = 0; i < kReadings; ++i) reference_.read();
    }
    world_.all().barrier();
  }

  void measure_machine() {
    const int local = options_.ranks_per_node > 0 ? options_.ranks_per_node : world_.size();
    const c10::Device device = world_.device();
    out_.provenance =
        measured_here(options_.seed, fmt::format("measured with {} ranks, threads of each: {}",
                                                 world_.size(), at::get_num_threads()));
    out_.device = device_name(device);
    out_.world_size = world_.size();
    out_.ranks_per_node = local;
    out_.device_memory = device_memory(device, local);
  }

  void measure_compute() {
    const ComputeLoad load(world_.device());
    tell("contention of compute");
    out_.contention = measure_contention(world_, load, out_.ranks_per_node, options_.rounds);
    tell("overlap of compute and communication");
    out_.overlaps = measure_overlaps(world_, load, out_.ranks_per_node, options_.rounds);
    if (!out_.overlaps.empty())
      out_.overlap_slowdown = out_.overlaps.front().overlap.together_ms(1, 1);
    measure_update(spec::default_optimizer());
    // By now every kind of code has run once; the large buffers, and what only other optimizers
    // need, are not there yet.
    const auto beside = static_cast<double>(memory_beside_tensors(world_.device()).value);
    out_.memory_reserve = {static_cast<std::int64_t>(agreement_.max(beside))};
    for (const spec::OptimizerSpec& optimizer : spec::optimizers()) {
      if (optimizer.name != spec::default_optimizer().name) measure_update(optimizer);
    }
  }

  void measure_update(const spec::OptimizerSpec& optimizer) {
    tell("optimizer " + optimizer.name);
    const double alone = world_.rank() == 0 ? measure_optimizer(optimizer, world_.device()) : 0;
    const double ns = agreement_.max(alone);
    if (optimizer.name == spec::default_optimizer().name) {
      out_.optimizer_ns_per_element = ns;
    } else {
      out_.other_optimizers_ns[optimizer.name] = ns;
    }
  }

  // Two tensors of the largest message lie on every rank.
  Bytes max_bytes() const {
    constexpr std::int64_t kShare = 16;
    if (options_.max_bytes) return *options_.max_bytes;
    if (out_.device_memory.value == 0) return mebibytes(64);
    return std::min(kLargestMessage, Bytes{out_.device_memory.value / kShare});
  }

  void measure_collectives(CollectiveBench& bench) {
    out_.tables = bench.measure(cases_, max_bytes(), options_.seconds,
                                [this](double done, const std::string& what) {
                                  if (!options_.progress) return;
                                  const double share = kComputeShare + (1 - kComputeShare) * done;
                                  options_.progress(share, what);
                                });
    read_reference();
    if (!cases_.empty()) out_.provenance.spread = bench.typical_spread();
    // Of a mean machine: every one has as many ranks.
    const double ours = agreement_.mean(load_.own_seconds()) * out_.ranks_per_node;
    out_.provenance.other_load = load_.cores(ours);
  }

  comm::World& world_;
  const HardwareProfileOptions& options_;
  Agreement agreement_;
  ReferenceLoad reference_;
  std::vector<CollectiveCase> cases_;
  LoadOfOthers load_;
  int parts_done_ = 0;
  profiles::HardwareProfile out_;
};

}  // namespace

profiles::HardwareProfile profile_hardware(comm::World& world,
                                           const HardwareProfileOptions& options) {
  return HardwareProfiler(world, options).run();
}

}  // namespace galvatron::profiler
