// The two list notations in Slurm's environment.
#pragma once
#include <string>
#include <vector>

namespace galvatron::comm {

// "node[01-04,07],login" -> "node01". ConfigError naming `variable` when it cannot be read.
std::string first_slurm_host(const std::string& nodelist, const std::string& variable);

// "4(x2),3" -> {4, 4, 3}. ConfigError naming `variable` when it cannot be read.
std::vector<int> slurm_counts(const std::string& text, const std::string& variable);

}  // namespace galvatron::comm
