// One run at a time saves into a folder.
#pragma once
#include <chrono>
#include <filesystem>

namespace galvatron::train {

// How long a run waits for one that was killed a moment ago.
inline constexpr std::chrono::seconds kSaveLockPatience{10};

// Holds the folder until it goes, or its process ends in whatever way. Does nothing where the
// file system knows no locks.
class SaveLock {
 public:
  // Waits `patience` for a run that is about to end. ConfigError that names the process and host
  // that hold the folder.
  SaveLock(const std::filesystem::path& folder, std::chrono::milliseconds patience);
  ~SaveLock();
  SaveLock(const SaveLock&) = delete;
  SaveLock& operator=(const SaveLock&) = delete;

 private:
  int file_ = -1;
};

}  // namespace galvatron::train
