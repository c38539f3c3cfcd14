#include "galvatron/train/durable_file.h"

#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/base/user_path.h"

namespace galvatron::train {
namespace {

// Handed to the disk while the rest is written, so that the last sync is short.
constexpr std::int64_t kWriteBehind = 32 << 20;

[[noreturn]] void fail_to_write_durably(const std::filesystem::path& path) {
  throw RuntimeFailure("cannot write ", path.string(), ": ", std::strerror(errno));
}

}  // namespace

DurableFile::DurableFile(const std::filesystem::path& path)
    : path_(path), file_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  if (file_ < 0) fail_to_write_durably(path_);
}

DurableFile::~DurableFile() {
  if (file_ >= 0) close(file_);
}

void DurableFile::write(std::span<const std::byte> bytes) {
  checksums_.add(bytes);
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail_to_write_durably(path_);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    bytes_ += count;
  }
  if (bytes_ - started_ < kWriteBehind) return;
  sync_file_range(file_, started_, bytes_ - started_, SYNC_FILE_RANGE_WRITE);
  started_ = bytes_;
}

FileRecord DurableFile::finish() {
  if (fsync(file_) != 0) fail_to_write_durably(path_);
  if (close(std::exchange(file_, -1)) != 0) fail_to_write_durably(path_);
  return {path_.filename().string(), bytes_, checksums_.finish()};
}

void sync_folder(const std::filesystem::path& folder) {
  const int file = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) fail_to_write_durably(folder);
  // Some network file systems have no such thing, and say EINVAL.
  const bool done = fsync(file) == 0 || errno == EINVAL;
  const int problem = errno;
  close(file);
  errno = problem;
  if (!done) fail_to_write_durably(folder);
}

void write_durably(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::path temporary = path;
  temporary += fmt::format(".tmp{}", getpid());
  DurableFile file(temporary);
  file.write(text);
  file.finish();
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    const int problem = errno;
    unlink(temporary.c_str());
    errno = problem;
    fail_to_write_durably(path);
  }
  sync_folder(path.has_parent_path() ? path.parent_path() : ".");
}

std::filesystem::path parent_of(const std::filesystem::path& folder) {
  return std::filesystem::absolute(folder / "").parent_path().parent_path();
}

void require_writable_folder(const std::filesystem::path& folder, const std::string& option) {
  const std::filesystem::path path = folder.empty() ? "." : folder;
  refuse_address(path.string(), detail::concat("[train] ", option));
  std::error_code error;
  std::filesystem::create_directories(path, error);
  const auto refuse = [&](const std::string& reason) {
    const std::string link = broken_link_text(path);
    throw ConfigError("[train] ", option, ": cannot write into ", path.string(),
                      reason.empty() || !link.empty() ? link : ": " + reason);
  };
  if (!std::filesystem::is_directory(path)) refuse(error ? error.message() : "");
  // Ranks of several hosts may try at once.
  const std::filesystem::path probe =
      path / fmt::format(".galvatron-{:08x}-{}", std::random_device{}(), getpid());
  const int file = open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0) refuse(std::strerror(errno));
  const bool takes_bytes = ::write(file, "galvatron", 9) == 9;
  const int problem = errno;
  close(file);
  unlink(probe.c_str());
  if (!takes_bytes) refuse(std::strerror(problem));
}

void require_room(const std::filesystem::path& folder, Bytes needed, const std::string& what,
                  const std::string& option) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  // Some file systems do not tell.
  if (error || space.capacity == 0 || space.available >= static_cast<std::uintmax_t>(needed.value))
    return;
  throw ConfigError("[train] ", option, ": ", what, " has ", to_text(needed), ", and ",
                    folder.string(), " has room for ",
                    to_text(Bytes{static_cast<std::int64_t>(space.available)}),
                    "; name a place with more");
}

}  // namespace galvatron::train
