// What `galvatron search` was given, and the parts of the command that both cost models share.
#pragma once
#include <optional>
#include <string>

#include "galvatron/cli/commands.h"
#include "galvatron/planning/frontier.h"
#include "galvatron/planning/result_files.h"
#include "galvatron/planning/search_request.h"

namespace galvatron::cli {

struct SearchCommand {
  planning::SearchRequest request;
  planning::MachineFiles machine;
  std::string model;
  spec::ModelOverrides overrides;
  bool explain = false;
  std::string output, plan_format;
  bool frontier = false;
  planning::FrontierRequest frontier_request;
  planning::ResultFiles files;
  std::string cost_model;

  std::string galvatron2_profiles;
  int num_nodes = 0;
  std::string default_dp_type = "zero2", time_mode = "batch", memory_mode = "static";
  bool no_async_grad_reduce = false, no_sequence_parallel = false, no_memory_buffer = false;
};

// ConfigError naming the option unless it was given.
void require_option(bool given, const char* option, const char* why);
// ConfigError for a schedule that Galvatron-2 has no word for; `what` has none.
void refuse_foreign_schedule(std::optional<plan::ScheduleKind> schedule, const char* what);

// Galvatron-2's question (search_galvatron2.cpp). Exit code.
int search_galvatron2(const SearchCommand& command);
void add_galvatron2_options(OptionList& list, SearchCommand& command);

}  // namespace galvatron::cli
