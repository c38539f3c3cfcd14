// The search on one core: Galvatron-2's recorded questions beside its own answers, the same model
// on more devices, and our own cost model up to a trillion parameters on 4096 devices. The least
// time of several runs.
#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "galvatron/base/progress.h"
#include "galvatron/base/table.h"
#include "galvatron/profiles/cluster.h"
#include "galvatron/search/search.h"

#include "galvatron2/recorded_case.h"

namespace galvatron::search {
namespace {

constexpr int kRuns = 5;

template <typename Work>
double least_ms(Work work) {
  double least = std::numeric_limits<double>::infinity();
  for (int run = 0; run < kRuns; ++run) {
    const double start = now_seconds();
    work();
    least = std::min(least, 1000 * (now_seconds() - start));
  }
  return least;
}

void recorded_cases() {
  TextTable table({"case", "Galvatron-2", "best known", "ours", "gap", "ms", "its own s"});
  for (const auto& file : galvatron2::case_files()) {
    const galvatron2::RecordedCase recorded(file);
    const galvatron2::SearchOptions options = galvatron2::question(recorded);
    galvatron2::SearchResult result;
    const double ms = least_ms([&] {
      result = galvatron2::search_best_plan(options, galvatron2::read_profiles(recorded.query));
    });
    const Json& upstream = recorded.json["upstream"];
    table.add_row({file.stem().string(), fmt::format("{:.6f}", double(upstream["throughput"])),
                   fmt::format("{:.6f}", double(recorded.json["best_known"])),
                   fmt::format("{:.6f}", result.best->score.samples_per_second),
                   fmt::format("{:.2g}", result.certificate.gap()), fmt::format("{:.2f}", ms),
                   upstream.contains("search_s")
                       ? fmt::format("{:.1f}", double(upstream["search_s"]))
                       : "-"});
  }
  fmt::print("Galvatron-2's questions (samples/s; ours with reading its files)\n{}\n",
             table.to_string());
}

// Degrees beyond the measured ones cost what the largest measured one does.
void extend(std::map<int, double>& values, int degree) {
  for (int to = 2; to <= degree; to *= 2) {
    values.try_emplace(to, std::prev(values.upper_bound(to))->second);
  }
}

void more_devices() {
  TextTable table({"devices", "batch", "samples/s", "gap", "candidates", "ms"});
  const galvatron2::RecordedCase recorded(galvatron2::case_files().front());
  for (const int world : {8, 16, 32, 64}) {
    galvatron2::Profiles profiles = recorded.profiles;
    for (auto* one :
         {&profiles.strided_bandwidth, &profiles.consecutive_bandwidth, &profiles.p2p_bandwidth}) {
      extend(one->values, world);
    }
    galvatron2::SearchOptions options = galvatron2::question(recorded);
    options.job.world_size = world;
    options.memory = gibibytes(24);
    options.global_batches = {8 * world};
    galvatron2::SearchResult result;
    const double ms = least_ms([&] { result = galvatron2::search_best_plan(options, profiles); });
    table.add_row({std::to_string(world), std::to_string(8 * world),
                   result.best ? fmt::format("{:.4f}", result.best->score.samples_per_second) : "-",
                   fmt::format("{:.2g}", result.certificate.gap()),
                   std::to_string(result.certificate.candidates), fmt::format("{:.2f}", ms)});
  }
  fmt::print("llama2-7b under Galvatron-2's formulas on more devices\n{}\n", table.to_string());
}

struct Question {
  const char* model;
  const char* cluster;
  std::int64_t batch, seq_length;
  int gib;  // 0: all that a device has
};

void our_model() {
  const Question questions[] = {
      {"gpt2-1.5b", "8xA100", 64, 1024, 16},    {"llama2-7b", "8xA100", 64, 2048, 36},
      {"llama2-7b", "8xA100", 64, 2048, 24},    {"llama2-7b", "8xA100", 64, 2048, 20},
      {"llama-13b", "8xA100-40G", 64, 2048, 0}, {"llama-30b", "16xA100", 64, 1024, 0},
      {"llama-30b", "16xA100", 64, 2048, 48},   {"llama2-70b", "64xA100-40G", 256, 4096, 0},
      {"llama2-70b", "64xH100", 512, 4096, 0},  {"gpt-1t", "4096xH100", 1024, 2048, 0},
      {"gpt-1t", "4096xH100", 2048, 2048, 0}};
  TextTable table({"model", "cluster", "batch", "memory", "step", "gap", "looked into", "ms"});
  table.align(1, TextTable::Align::kLeft);
  for (const Question& question : questions) {
    const spec::ModelSpec model = spec::load_model(question.model);
    const spec::JobSpec job{question.seq_length, question.batch, spec::Precision::kBf16};
    const profiles::Cluster cluster = profiles::load_cluster(question.cluster);
    const profiles::DeviceSpec device = cluster.device(job.precision);
    const auto hardware =
        profiles::analytic_hardware_profile(cluster.spec, device, cluster.network);
    SearchOptions options;
    options.memory = question.gib > 0 ? gibibytes(question.gib) : hardware.device_memory;
    options.num_runners_up = 0;
    SearchResult result;
    const double ms = least_ms([&] {
      const auto profile =
          profiles::analytic_model_profile(model, job.seq_length, job.precision, device);
      result = search_best_plan({model, job, hardware, profile}, options);
    });
    const Certificate& certificate = result.certificate;
    table.add_row({question.model, question.cluster, std::to_string(question.batch),
                   to_text(options.memory),
                   result.best ? to_text(result.best->cost.step_time) : "-",
                   fmt::format("{:.2g}", certificate.gap()),
                   fmt::format("{} of {}", certificate.solved, certificate.candidates),
                   fmt::format("{:.1f}", ms)});
  }
  fmt::print("Our cost model, data-sheet clusters\n{}\n", table.to_string());
}

}  // namespace
}  // namespace galvatron::search

int main() {
  galvatron::search::recorded_cases();
  galvatron::search::more_devices();
  galvatron::search::our_model();
}
