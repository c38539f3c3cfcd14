#include "galvatron/base/mapped_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "galvatron/base/error.h"

namespace galvatron {

MappedFile::MappedFile(const std::filesystem::path& path) {
  // A pipe would wait for somebody to write.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) throw ConfigError("[file] cannot open ", path.string(), ": ", std::strerror(errno));
  struct stat info = {};
  const bool is_file = fstat(file, &info) == 0 && S_ISREG(info.st_mode);
  const auto size = static_cast<std::size_t>(is_file ? info.st_size : 0);
  void* start = size > 0 ? mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0) : nullptr;
  const int problem = errno;
  close(file);
  if (!is_file) throw ConfigError("[file] ", path.string(), " is not a regular file");
  if (start == MAP_FAILED) {
    throw ConfigError("[file] cannot map ", path.string(),
                      " into memory: ", std::strerror(problem));
  }
  bytes_ = {static_cast<const std::byte*>(start), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace galvatron
