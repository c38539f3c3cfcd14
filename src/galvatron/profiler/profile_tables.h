// Profiles as tables for the terminal.
#pragma once
#include <string>

#include "galvatron/profiles/hardware_profile.h"
#include "galvatron/profiles/model_profile.h"

namespace galvatron::profiler {

std::string hardware_table(const profiles::HardwareProfile& profile);
std::string model_table(const profiles::ModelProfile& profile);

}  // namespace galvatron::profiler
