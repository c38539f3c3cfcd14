// Checksums that tell a changed byte: XXH3 with 64 bits. Against accidents, not against forgery.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "galvatron/base/units.h"

namespace galvatron::train {

std::uint64_t checksum(std::span<const std::byte> bytes);
std::uint64_t checksum(std::string_view text);
// "xxh3:0123456789abcdef".
std::string checksum_text(std::uint64_t checksum);

// Checksums of a file's blocks, so that a reader verifies no more than it reads.
inline constexpr std::int64_t kChecksumBlock = 4 << 20;  // bytes; the last block may be shorter

// Takes a file's bytes as they come.
class BlockChecksums {
 public:
  BlockChecksums();
  ~BlockChecksums();
  void add(std::span<const std::byte> bytes);
  std::vector<std::uint64_t> finish();

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
  std::vector<std::uint64_t> blocks_;
  std::int64_t filled_ = 0;  // of the block under way
};

// What tells a data file from another one: its size, and the checksum of the whole of it or, where
// it is large, of parts spread evenly over it.
struct FilePrint {
  std::int64_t bytes = 0;
  std::string checksum;
  bool operator==(const FilePrint&) const = default;
};
// ConfigError where the file cannot be read.
FilePrint file_print(const std::filesystem::path& path);

}  // namespace galvatron::train
