// The commands of the training half: the same shape as those of the planning half (../commands.h).
#pragma once
#include "galvatron/cli/command_line.h"
#include "galvatron/cli/options.h"

namespace galvatron::cli {

void add_profile_hardware_command(CommandLine& line);
void add_profile_model_command(CommandLine& line);
void add_train_command(CommandLine& line);
void add_evaluate_command(CommandLine& line);
void add_export_command(CommandLine& line);

}  // namespace galvatron::cli
