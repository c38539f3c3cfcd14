// Files that outlive a crash of the machine: on the disk, not in its caches, before anything says
// that they are there.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "galvatron/train/checksum.h"

namespace galvatron::train {

// One file as an index names it.
struct FileRecord {
  std::string name;
  std::int64_t bytes = 0;
  std::vector<std::uint64_t> blocks;  // checksums, each of kChecksumBlock bytes
};

// A new file, written from its begin to its end. RuntimeFailure naming file and reason ("no space
// left") when the disk refuses.
class DurableFile {
 public:
  explicit DurableFile(const std::filesystem::path& path);
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  // Returns when the file is on the disk.
  FileRecord finish();

 private:
  std::filesystem::path path_;
  int file_ = -1;
  std::int64_t bytes_ = 0, started_ = 0;  // written; handed to the disk
  BlockChecksums checksums_;
};

// Returns when the folder's entries are on the disk.
void sync_folder(const std::filesystem::path& folder);

// Text in place of what `path` held: a reader sees the one or the other, also after a crash.
void write_durably(const std::filesystem::path& path, std::string_view text);

// Of "out" and "out/" alike, as an absolute path.
std::filesystem::path parent_of(const std::filesystem::path& folder);

// ConfigError naming `option` unless files can be made and written in the folder, which is made
// where it is missing. Tries it.
void require_writable_folder(const std::filesystem::path& folder, const std::string& option);

// ConfigError naming `option` where the folder's disk has no room for that. `what`: "a checkpoint".
void require_room(const std::filesystem::path& folder, Bytes needed, const std::string& what,
                  const std::string& option);

}  // namespace galvatron::train
