#include "galvatron/train/checkpoint_folder.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/train/checkpoint_index.h"
#include "galvatron/train/durable_file.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStepPrefix = "step-";
constexpr const char* kLatest = "latest";
constexpr const char* kPartial = ".partial";
constexpr const char* kRemoved = ".removed";

// The number of "step-000100"; nothing for other names.
std::optional<std::int64_t> step_of(const std::string& name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  const char* end = name.data() + name.size();
  std::int64_t step = 0;
  const auto [stop, error] = std::from_chars(name.data() + kStepPrefix.size(), end, step);
  if (error != std::errc() || stop != end) return std::nullopt;
  return step;
}

struct StepFolder {
  std::int64_t step = 0;
  fs::path path;
};

// Newest first.
std::vector<StepFolder> step_folders(const fs::path& folder) {
  std::vector<StepFolder> out;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const auto step = step_of(entry.path().filename().string());
    if (step && entry.is_directory(error)) out.push_back({*step, entry.path()});
  }
  std::sort(out.begin(), out.end(),
            [](const StepFolder& a, const StepFolder& b) { return a.step > b.step; });
  return out;
}

std::string latest_text(std::int64_t step) {
  const std::string name = step_folder(step);
  return fmt::format("{} {}\n", name, checksum_text(checksum(name)));
}

// The step that `latest` names; nothing where it is missing or damaged. By hand it may be written
// without its checksum, for a checkpoint that is there.
std::optional<std::int64_t> latest_step(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_regular_file(folder / kLatest, error)) return std::nullopt;  // a pipe would wait
  std::ifstream in(folder / kLatest);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto step = step_of(text.substr(0, text.find_first_of(" \n")));
  if (!step || text == latest_text(*step)) return step;
  const std::string name = step_folder(*step);
  const bool is_name = text == name || text == name + "\n";
  return is_name && fs::exists(folder / name / kIndexFile, error) ? step : std::nullopt;
}

// Nothing for a damaged checkpoint.
std::optional<std::string> run_of(const fs::path& checkpoint) {
  try {
    return read_index(checkpoint).run;
  } catch (const DamagedCheckpoint&) {
    return std::nullopt;
  }
}

// Those that belong to the run of the newest one that can be read, and the damaged ones.
std::vector<StepFolder> of_one_run(std::vector<StepFolder> folders, std::string& run) {
  bool known = false;
  std::erase_if(folders, [&](const StepFolder& folder) {
    const std::optional<std::string> own = run_of(folder.path);
    if (!own) return false;
    if (!known) run = *own, known = true;
    return *own != run;
  });
  return folders;
}

void refuse_several_runs(const fs::path& folder, const std::vector<StepFolder>& folders) {
  std::set<std::string> runs;
  for (const StepFolder& entry : folders) {
    if (const auto run = run_of(entry.path)) runs.insert(*run);
  }
  if (runs.size() <= 1) return;
  throw ConfigError("[checkpoint] ", folder.string(), " holds checkpoints of ", runs.size(),
                    " runs and no file 'latest' that says which one counts; name the checkpoint, "
                    "such as ",
                    folders.front().path.string());
}

// What runs that were killed have left half written or half removed.
std::vector<fs::path> leftovers(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const fs::path ending = entry.path().extension();
    if ((ending == kPartial || ending == kRemoved) && step_of(entry.path().stem().string()))
      out.push_back(entry.path());
  }
  return out;
}

void rename_or_fail(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error)
    throw RuntimeFailure("cannot write the checkpoint ", to.string(), ": ", error.message());
}

// Out of sight at once, so that nobody takes what is left for a checkpoint.
fs::path hide_checkpoint(const fs::path& checkpoint) {
  const fs::path doomed = checkpoint.string() + kRemoved;
  rename_or_fail(checkpoint, doomed);
  return doomed;
}

void remove_hidden(const fs::path& doomed) {
  std::error_code error;
  fs::remove_all(doomed, error);
  if (error) throw RuntimeFailure("cannot remove ", doomed.string(), ": ", error.message());
}

}  // namespace

std::string step_folder(std::int64_t step) { return fmt::format("{}{:06}", kStepPrefix, step); }

CheckpointCandidates checkpoint_candidates(const fs::path& path) {
  if (fs::exists(path / kIndexFile)) return {{path}, ""};
  std::vector<StepFolder> folders = step_folders(path);
  const std::optional<std::int64_t> latest = latest_step(path);
  if (folders.empty() && !latest) {
    if (fs::is_directory(path) && step_of(path.filename().string()))
      throw DamagedCheckpoint(path, detail::concat("it has no ", kIndexFile));
    throw ConfigError("[checkpoint] there is no checkpoint in ", path.string());
  }
  CheckpointCandidates out;
  if (latest) {
    // Later ones are of a run that was given up, or of another one.
    std::erase_if(folders, [&](const StepFolder& folder) { return folder.step > *latest; });
    if (folders.empty() || folders.front().step < *latest)
      folders.insert(folders.begin(), {*latest, path / step_folder(*latest)});
  } else {
    refuse_several_runs(path, folders);
  }
  std::string run;
  for (const StepFolder& folder : of_one_run(std::move(folders), run))
    out.paths.push_back(folder.path);
  // Old versions wrote none, and knew no runs.
  const bool is_there = fs::exists(path / kLatest);
  if (!latest && (is_there || !run.empty()))
    out.note =
        detail::concat("[checkpoint] ", (path / kLatest).string(), " is ",
                       is_there ? "damaged" : "missing", "; the checkpoint of most steps counts");
  return out;
}

fs::path latest_file(const fs::path& folder) { return folder / kLatest; }

std::optional<std::string> run_of_folder(const fs::path& folder) {
  const std::vector<StepFolder> folders = step_folders(folder);
  if (folders.empty()) return std::nullopt;
  std::string run;
  of_one_run(folders, run);
  return run;
}

std::int64_t num_later_checkpoints(const fs::path& folder, std::int64_t step) {
  const std::vector<StepFolder> folders = step_folders(folder);
  return std::count_if(folders.begin(), folders.end(),
                       [&](const StepFolder& entry) { return entry.step > step; });
}

fs::path partial_checkpoint(const fs::path& folder, std::int64_t step) {
  return folder / (step_folder(step) + kPartial);
}

void make_partial_checkpoint(const fs::path& folder, std::int64_t step) {
  const fs::path partial = partial_checkpoint(folder, step);
  std::error_code error;
  for (const fs::path& left : leftovers(folder)) fs::remove_all(left, error);
  fs::create_directories(partial, error);
  if (error)
    throw RuntimeFailure("cannot write the checkpoint ", partial.string(), ": ", error.message());
}

void publish_checkpoint(const fs::path& folder, std::int64_t step) {
  const fs::path final = folder / step_folder(step);
  const fs::path partial = partial_checkpoint(folder, step);
  sync_folder(partial);
  const fs::path old = fs::exists(final) ? hide_checkpoint(final) : fs::path();
  rename_or_fail(partial, final);
  sync_folder(folder);
  write_durably(folder / kLatest, latest_text(step));
  if (!old.empty()) remove_hidden(old);
}

void prune_checkpoints(const fs::path& folder, std::int64_t step, const KeepOptions& keep) {
  if (keep.last == 0) return;
  std::vector<StepFolder> folders = step_folders(folder);
  std::erase_if(folders, [&](const StepFolder& entry) { return entry.step > step; });
  std::string run;
  folders = of_one_run(std::move(folders), run);
  for (std::size_t i = static_cast<std::size_t>(keep.last); i < folders.size(); ++i) {
    if (keep.every > 0 && folders[i].step % keep.every == 0) continue;
    remove_hidden(hide_checkpoint(folders[i].path));
  }
}

}  // namespace galvatron::train
