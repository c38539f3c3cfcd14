// A run's step by parts, predicted beside measured.
#pragma once
#include <optional>
#include <string>

#include "galvatron/planning/calibration.h"
#include "galvatron/views/run_files.h"

namespace galvatron::views {

// As train printed it at its end; "" where the run has no plan or no trace.
std::string run_step_table(const Run& run);

// The memory of the rank that has most, told apart, as train printed it; "" where the run does not
// say it.
std::string run_memory_table(const Run& run);

// What later questions about the same machine are corrected by. `date`: of the run's files, ISO
// 8601. ConfigError for a run without plan, prediction, summary or trace.
planning::Calibration calibrate(const Run& run, const std::string& date);

}  // namespace galvatron::views
