#include "galvatron/planning/calibration.h"

#include <algorithm>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/profiles/device.h"

namespace galvatron::planning {
namespace {

using plan::StepKind;
using plan::StepKinds;

constexpr const char* kFormat = "galvatron-calibration";
constexpr double kLeastFactor = 0.01, kMostFactor = 100;

// Those that a prediction has and no other part makes.
bool has_factor(StepKind kind) {
  return kind != StepKind::kBubble && kind != StepKind::kData && kind != StepKind::kRest;
}

bool recomputes_selectively(const plan::Plan& plan) {
  return std::any_of(plan.layers.begin(), plan.layers.end(), [](const plan::LayerStrategy& layer) {
    return layer.recompute == plan::Recompute::kSelective;
  });
}

}  // namespace

StepKinds calibrated_factors(const plan::Plan& plan, const plan::RecordedPrediction& predicted,
                             const plan::TracedStep& measured) {
  if (!predicted.kinds) {
    throw ConfigError(
        "[calibrate] the run's plan has no prediction by parts; predict it with "
        "`galvatron simulate plan.json ... --output plan.json`, or search it, and "
        "train with that file");
  }
  if (!measured.tells_collectives) {
    throw ConfigError(
        "[calibrate] the run's trace does not tell what its collectives are for: it "
        "is of an older version, train again");
  }
  constexpr double kTold = 2e-3;  // of the step
  const double least = kTold * predicted.kinds->sum();
  StepKinds before = *predicted.kinds, now = measured.ms;
  // A selective recomputation is a part of the backward in the trace.
  const bool joined = recomputes_selectively(plan);
  if (joined) {
    before[StepKind::kBackward] += before[StepKind::kRecompute];
    now[StepKind::kBackward] += now[StepKind::kRecompute];
  }
  StepKinds out = predicted.factors;
  for (const StepKind kind : enum_values<StepKind>()) {
    if (!has_factor(kind) || before[kind] < least || !(now[kind] > 0)) continue;
    if (joined && kind == StepKind::kRecompute) continue;
    out[kind] =
        std::clamp(predicted.factors[kind] * now[kind] / before[kind], kLeastFactor, kMostFactor);
  }
  if (joined && before[StepKind::kBackward] >= least) {
    const double ratio = out[StepKind::kBackward] / predicted.factors[StepKind::kBackward];
    out[StepKind::kRecompute] = predicted.factors[StepKind::kRecompute] * ratio;
  }
  return out;
}

OrderedJson calibration_to_json(const Calibration& calibration) {
  OrderedJson factors = OrderedJson::object();
  for (const StepKind kind : enum_values<StepKind>()) {
    if (has_factor(kind)) factors[enum_text(kind)] = calibration.factors[kind];
  }
  return {{"format", kFormat},
          {"version", 1},
          {"origin",
           {{"run", calibration.run},
            {"date", calibration.date},
            {"model", calibration.model},
            {"plan", calibration.plan},
            {"device", calibration.device},
            {"world_size", calibration.world_size},
            {"precision", spec::to_text(calibration.precision)},
            {"steps", calibration.num_steps}}},
          {"factors", factors}};
}

Calibration calibration_from_json(const Json& json, const std::string& source) {
  JsonReader reader(json, source);
  if (reader.get_string_or("format", "") != kFormat ||
      reader.get_int_or("version", 0, 0, 1 << 20) != 1) {
    throw ConfigError("[calibration] ", source, " is no \"", kFormat,
                      "\" of version 1; `galvatron report RUN --calibrate FILE` writes one");
  }
  Calibration out;
  JsonReader origin = reader.get_object("origin");
  out.run = origin.get_string_or("run", "");
  out.date = origin.get_string_or("date", "");
  out.model = origin.get_string_or("model", "");
  out.plan = origin.get_string_or("plan", "");
  out.device = origin.get_string("device");
  out.world_size = static_cast<int>(origin.get_int("world_size", 1, plan::kMaxRanks));
  out.precision = origin.get_enum_or("precision", spec::Precision::kFp32);
  out.num_steps = static_cast<int>(origin.get_int_or("steps", 0, 0, 1 << 30));
  origin.finish();
  JsonReader factors = reader.get_object("factors");
  for (const StepKind kind : enum_values<StepKind>()) {
    if (!has_factor(kind)) continue;
    const std::string name = enum_text(kind);
    if (factors.has(name)) {
      out.factors[kind] = factors.get_number(name, kLeastFactor, kMostFactor);
    } else {
      factors.ignore(name);
    }
  }
  factors.finish();
  reader.finish();
  return out;
}

Calibration read_calibration(const std::filesystem::path& path) {
  return calibration_from_json(read_json_file(path), path.string());
}

std::vector<std::string> require_calibration_for(const Calibration& calibration,
                                                 const std::string& device, int world_size,
                                                 const std::string& model,
                                                 spec::Precision precision) {
  const auto refuse = [&](const std::string& theirs, const std::string& ours) {
    throw ConfigError("[calibration] ", calibration.run.empty() ? "the run" : calibration.run,
                      " was measured ", theirs, ", the question is ", ours,
                      "; leave --calibration out, or calibrate with a run of that kind");
  };
  if (calibration.precision != precision) {
    refuse("in " + spec::to_text(calibration.precision), "of " + spec::to_text(precision));
  }
  if (!profiles::may_be_same_device(calibration.device, device)) {
    refuse("on '" + calibration.device + "'", "of '" + device + "'");
  }
  std::vector<std::string> out = {
      fmt::format("parts of the step: corrected by {} ({}, {} ranks, {})", calibration.run,
                  calibration.model, calibration.world_size, calibration.date.substr(0, 10))};
  if (calibration.model != model) {
    out.push_back(fmt::format("the calibration is of {}, not of {}", calibration.model, model));
  }
  if (calibration.world_size != world_size) {
    out.push_back(fmt::format("the calibration is of {} ranks, not of {}", calibration.world_size,
                              world_size));
  }
  return out;
}

}  // namespace galvatron::planning
