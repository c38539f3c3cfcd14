// Files that lie beside each other under one PREFIX: what is meant where they are not there.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace galvatron::data {

// ConfigError unless PREFIX + suffix is a file for each suffix. The sentence names the prefix that
// is likely meant: of a file of the pair, or of a folder that holds some.
void require_data_files(const std::filesystem::path& prefix,
                        const std::vector<std::string>& suffixes,
                        const std::string& option = "--data");

// Is PREFIX + suffix a file for each suffix?
bool has_data_files(const std::string& prefix, const std::vector<std::string>& suffixes);

}  // namespace galvatron::data
