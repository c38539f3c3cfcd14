// Factors by which a run's measured parts differ from their prediction, kept in a file with their
// origin, and read by later questions about the same machine.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "galvatron/plan/step_comparison.h"
#include "galvatron/spec/job_spec.h"

namespace galvatron::planning {

struct Calibration {
  plan::StepKinds factors{1};
  // Where they come from.
  std::string run, date;  // folder, ISO 8601
  std::string model, plan, device;
  int world_size = 1;
  spec::Precision precision = spec::Precision::kFp32;
  int num_steps = 0;  // that were traced
};

// Of a run's plan with its prediction, and of its trace. A part that either side does not know, or
// that is too short to be told from noise, keeps its factor; bubbles have none, as they follow from
// the others. What the prediction was calibrated with already is counted in. ConfigError where the
// plan has no prediction by parts, or the trace does not tell its collectives.
plan::StepKinds calibrated_factors(const plan::Plan& plan,
                                   const plan::RecordedPrediction& predicted,
                                   const plan::TracedStep& measured);

// {"format": "galvatron-calibration", "version": 1, "origin": {"run", "date", "model", "plan",
// "device", "world_size", "precision", "steps"}, "factors": {"forward": 1.07, ...}}.
OrderedJson calibration_to_json(const Calibration& calibration);
Calibration calibration_from_json(const Json& json, const std::string& source);
Calibration read_calibration(const std::filesystem::path& path);

// ConfigError for another device or precision than the question's. What else differs is said:
// sentences for `extrapolated`, the first of which names the calibration.
std::vector<std::string> require_calibration_for(const Calibration& calibration,
                                                 const std::string& device, int world_size,
                                                 const std::string& model,
                                                 spec::Precision precision);

}  // namespace galvatron::planning
