#include "galvatron/profiler/profile_tables.h"

#include <algorithm>

#include <fmt/format.h>

#include "galvatron/base/table.h"

namespace galvatron::profiler {
namespace {

std::string gigabytes_per_second(double bytes_per_ms) {
  return fmt::format("{:.3g} GB/s", bytes_per_ms * 1000 / 1e9);
}

std::string collective_rows(const profiles::HardwareProfile& profile) {
  TextTable table({"collective", "ranks", "stride", "latency", "bandwidth", "largest", "took"});
  for (const profiles::CollectiveTable& entry : profile.tables) {
    const profiles::Line& line = entry.curve.line();
    const auto& points = entry.curve.points();
    table.add_row(
        {profiles::to_text(entry.collective), std::to_string(entry.shape.size),
         std::to_string(entry.shape.stride), to_text(Milliseconds{line.intercept}),
         line.slope > 0 ? gigabytes_per_second(1 / line.slope) : "-",
         points.empty() ? "-" : to_text(Bytes{static_cast<std::int64_t>(points.back().x)}),
         points.empty() ? "-" : to_text(Milliseconds{points.back().y})});
  }
  return table.to_string();
}

std::string contention_text(const profiles::Contention& contention) {
  std::string text;
  for (const profiles::ContentionPoint& point : contention) {
    text += fmt::format("{}{:g}: x{:.2f}", text.empty() ? "" : ", ", point.ranks, point.slowdown);
  }
  return text;
}

std::string optimizer_row(const profiles::HardwareProfile& profile) {
  std::string text;
  for (const spec::OptimizerSpec& optimizer : spec::optimizers()) {
    text += fmt::format("{}{} {:.3g}", text.empty() ? "" : ", ", optimizer.name,
                        profile.optimizer_ns(optimizer));
  }
  return text + " ns per element";
}

}  // namespace

std::string hardware_table(const profiles::HardwareProfile& profile) {
  std::string out = profile.tables.empty() ? "" : collective_rows(profile) + "\n";
  TextTable table({"device", profile.device});
  table.align(1, TextTable::Align::kLeft);
  table.add_row({"memory of a rank's device", to_text(profile.device_memory)});
  table.add_row({"taken before any model", to_text(profile.memory_reserve)});
  table.add_row({"compute with n ranks at once", contention_text(profile.contention)});
  for (const profiles::MeasuredOverlap& one : profile.overlaps) {
    table.add_row({fmt::format("compute beside {}{}", profiles::to_text(one.collective),
                               one.crosses_nodes ? " between nodes" : ""),
                   fmt::format("x{:.2f}, which takes x{:.2f} beside compute", one.overlap.compute,
                               one.overlap.communication)});
  }
  table.add_row({"optimizer", optimizer_row(profile)});
  return out + table.to_string();
}

std::string model_table(const profiles::ModelProfile& profile) {
  TextTable table({"layer", "tp", "samples", "forward", "backward", "selective", "ulysses",
                   "activation", "selective", "forward peak", "backward peak"});
  for (const profiles::LayerTypeProfile& type : profile.types) {
    for (const profiles::LayerMeasurement& m : type.measurements) {
      table.add_row({type.type, std::to_string(m.tp_degree), fmt::format("{:g}", m.samples),
                     to_text(m.forward), to_text(m.backward), "+" + to_text(m.selective_recompute),
                     "+" + to_text(m.ulysses_forward + m.ulysses_backward), to_text(m.activation),
                     to_text(m.activation_selective), to_text(m.forward_workspace),
                     to_text(m.backward_workspace)});
    }
  }
  std::string out = table.to_string();
  for (const profiles::LayerTypeProfile& type : profile.types) {
    if (type.contention.empty()) continue;
    out +=
        fmt::format("\n  {} with n ranks at once: {}", type.type, contention_text(type.contention));
  }
  return out + "\n";
}

}  // namespace galvatron::profiler
