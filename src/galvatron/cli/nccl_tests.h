// profile-hardware --from-nccl-tests: a profile of measurements that others made. It measures
// nothing, so it runs in the planning half; the training half has the same options for its help
// and its TOML files.
#pragma once
#include <string>
#include <vector>

#include "galvatron/base/option.h"
#include "galvatron/profiles/hardware_from_nccl_tests.h"

namespace galvatron::cli {

inline constexpr const char* kFromNcclTests = "from-nccl-tests";

struct NcclTestsCommand {
  std::vector<std::string> files;  // none: measure here
  profiles::NcclTestsOptions options;
};

// `command` must outlive the list.
OptionList nccl_tests_options(NcclTestsCommand& command);

// Writes the profile and prints what was read. REQUIRES: files.
int profile_from_nccl_tests(const NcclTestsCommand& command, const std::string& output);

}  // namespace galvatron::cli
