#include "training_job.h"

#include <atomic>

#include "galvatron/base/error.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/runtime/memory_meter.h"
#include "galvatron/train/gather.h"

#include "bindings.h"

namespace py = pybind11;

namespace galvatron::binding {

void read_job(const std::string& text, const OptionList& options, const char* source,
              train::TrainJob& job) {
  const Json json = from_text(text, source);
  options.read(json, source);
  const std::string given = options.given_of(json, train::kUniformOptions);
  for (const auto& [name, value] : json.items()) {
    if (!value.is_null()) job.given.push_back(name);
  }
  train::refuse_beside_plan(job, given.empty() ? given : "[" + std::string(source) + "] " + given,
                            "plan");
  const auto python = py::module_::import("sys").attr("executable").cast<std::string>();
  if (!python.empty()) job.data_tool = {python, "-m", "galvatron.data"};
}

void take_samples(const std::optional<py::function>& make_samples, train::TrainJob& job) {
  if (!make_samples) return;
  const SharedObject maker = share(*make_samples);
  job.make_samples = [maker](const spec::ModelSpec&, std::int64_t seq_length,
                             data::SplitPart part) {
    const py::gil_scoped_acquire acquire;
    return std::make_unique<PythonSamples>(share((*maker)(data::to_text(part), seq_length)),
                                           seq_length);
  };
}

comm::LaunchEnvironment next_environment() {
  constexpr int kMostRuns = 1'000'000;
  static std::atomic<int> runs = 0;
  comm::LaunchEnvironment environment = comm::read_launch_environment();
  environment.restart_count = environment.restart_count * kMostRuns + runs++;
  return environment;
}

comm::World connect(const train::TrainJob& job, const comm::LaunchEnvironment& environment) {
  comm::WorldOptions options;
  options.device = comm::pick_device(job.device);
  options.limits = job.limits;
  if (options.device.is_cpu()) runtime::MemoryMeter::install();
  return comm::connect(environment, options);
}

void require_same_samples(const data::SampleSource& source, comm::World& world) {
  const auto* samples = dynamic_cast<const PythonSamples*>(&source);
  if (!samples || world.size() == 1) return;
  const std::vector<std::string> prints = train::gather_texts(world, samples->fingerprint());
  for (std::size_t rank = 1; rank < prints.size(); ++rank) {
    if (prints[rank] == prints[0]) continue;
    throw ConfigError(
        "[data] rank ", rank,
        " gets other samples than rank 0: every rank must be given the same data "
        "in the same order, and takes its part of each batch by itself (no DistributedSampler, no "
        "shuffle with a seed of its own)");
  }
}

void print_note(const std::string& line) {
  const py::gil_scoped_acquire acquire;
  py::print(line, py::arg("file") = py::module_::import("sys").attr("stderr"));
}

}  // namespace galvatron::binding
