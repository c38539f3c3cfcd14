// A file seen as read-only memory. Pages are read when they are touched and shared by all processes
// of a host.
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>

namespace galvatron {

class MappedFile {
 public:
  // ConfigError when the file is missing, unreadable or no regular file.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace galvatron
