// The JSON header of a safetensors file: checked, and made. Used by safetensors.cpp and
// safetensors_writer.cpp.
#pragma once
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "galvatron/base/partition.h"
#include "galvatron/models/safetensors.h"

namespace galvatron::models {

struct HeaderEntry {
  TensorInfo info;
  Range bytes;  // in the file
};

// The tensors of a file, in the order of their bytes. `source` names the file in errors.
// ConfigError unless header and data fit each other exactly: no byte shared, none left over, none
// missing.
std::vector<HeaderEntry> parse_header(std::span<const std::byte> file, const std::string& source);

// Length and header of a file whose data starts right behind: the entries' `bytes` count from
// there.
std::string make_header(const std::vector<HeaderEntry>& entries,
                        const std::map<std::string, std::string>& metadata);

}  // namespace galvatron::models
