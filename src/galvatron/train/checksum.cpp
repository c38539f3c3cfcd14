#include "galvatron/train/checksum.h"

#include <algorithm>

#include <fmt/format.h>
#include <xxhash.h>

#include "galvatron/base/error.h"
#include "galvatron/base/mapped_file.h"
#include "galvatron/base/partition.h"

namespace galvatron::train {
namespace {

// Of large data files: 64 MiB in all.
constexpr std::int64_t kPrintedParts = 256, kPrintedPart = 256 << 10;

}  // namespace

std::uint64_t checksum(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::uint64_t checksum(std::string_view text) { return checksum(std::as_bytes(std::span(text))); }

std::string checksum_text(std::uint64_t checksum) { return fmt::format("xxh3:{:016x}", checksum); }

struct BlockChecksums::Stream {
  XXH3_state_t state;
};

BlockChecksums::BlockChecksums() : stream_(std::make_unique<Stream>()) {
  XXH3_64bits_reset(&stream_->state);
}

BlockChecksums::~BlockChecksums() = default;

void BlockChecksums::add(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto count = std::min(bytes.size(), static_cast<std::size_t>(kChecksumBlock - filled_));
    XXH3_64bits_update(&stream_->state, bytes.data(), count);
    filled_ += static_cast<std::int64_t>(count);
    bytes = bytes.subspan(count);
    if (filled_ < kChecksumBlock) continue;
    blocks_.push_back(XXH3_64bits_digest(&stream_->state));
    XXH3_64bits_reset(&stream_->state);
    filled_ = 0;
  }
}

std::vector<std::uint64_t> BlockChecksums::finish() {
  if (filled_ > 0) blocks_.push_back(XXH3_64bits_digest(&stream_->state));
  return std::move(blocks_);
}

FilePrint file_print(const std::filesystem::path& path) {
  const MappedFile file(path);
  const std::span<const std::byte> bytes = file.bytes();
  const auto size = static_cast<std::int64_t>(bytes.size());
  FilePrint out{size, {}};
  if (size <= kPrintedParts * kPrintedPart) {
    out.checksum = checksum_text(checksum(bytes));
    return out;
  }
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  for (std::int64_t i = 0; i < kPrintedParts; ++i) {
    const std::int64_t begin = chunk(size - kPrintedPart, kPrintedParts - 1, i).begin;
    XXH3_64bits_update(&state, bytes.data() + begin, static_cast<std::size_t>(kPrintedPart));
  }
  out.checksum = checksum_text(XXH3_64bits_digest(&state)) + " of parts";
  return out;
}

}  // namespace galvatron::train
