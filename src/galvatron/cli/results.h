// Tables of answers on the terminal and in files.
#pragma once
#include "galvatron/planning/result_files.h"

namespace galvatron::cli {

// Seconds from which on work shows how far it is.
constexpr double kPatience = 1;

// ConfigError where a file that is wanted cannot be written: asked before the work.
void require_writable(const planning::ResultFiles& files);

// Prints table and notes, writes the files and says so.
void show_results(const planning::Results& results, const planning::ResultFiles& files);

}  // namespace galvatron::cli
