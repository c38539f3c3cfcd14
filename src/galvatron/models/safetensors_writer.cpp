#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/safetensors.h"
#include "galvatron/models/safetensors_header.h"

namespace galvatron::models {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_to_write(const fs::path& path) {
  throw RuntimeFailure("[weights] cannot write ", path.string(), ": ", std::strerror(errno));
}

// A file open for writing at any place.
class OpenFile {
 public:
  OpenFile(const fs::path& path, int flags)
      : path_(path), file_(open(path.c_str(), O_WRONLY | O_CLOEXEC | flags, 0644)) {}
  ~OpenFile() {
    if (file_ >= 0) ::close(file_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  bool is_open() const { return file_ >= 0; }
  void write(const void* data, std::size_t size, std::int64_t offset) {
    const auto* bytes = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t count = pwrite(file_, bytes, size, offset);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) fail_to_write(path_);
      bytes += count, offset += count, size -= static_cast<std::size_t>(count);
    }
  }
  void close() {
    if (::close(std::exchange(file_, -1)) != 0) fail_to_write(path_);
  }

 private:
  const fs::path& path_;
  int file_;
};

std::size_t element_size(const TensorInfo& info) { return c10::elementSize(info.dtype); }

}  // namespace

struct SafetensorsWriter::Shard {
  std::vector<HeaderEntry> entries;  // bytes within the data
  std::int64_t size = 0;
  fs::path path, temporary;

  ~Shard() {
    std::error_code ignored;
    if (!temporary.empty()) fs::remove(temporary, ignored);
  }
};

SafetensorsWriter::SafetensorsWriter(fs::path path, const std::vector<TensorInfo>& tensors,
                                     const SafetensorsWriterOptions& options)
    : path_(std::move(path)) {
  lay_out(tensors, options.max_shard);
  for (std::size_t i = 0; i < shards_.size(); ++i) start_shard(i, options.metadata);
}

SafetensorsWriter::~SafetensorsWriter() = default;

void SafetensorsWriter::lay_out(const std::vector<TensorInfo>& tensors, Bytes max_shard) {
  shards_.push_back(std::make_unique<Shard>());
  for (const TensorInfo& info : tensors) {
    const std::int64_t size = info.bytes().value;
    if (shards_.back()->size > 0 && shards_.back()->size + size > max_shard.value) {
      shards_.push_back(std::make_unique<Shard>());
    }
    shards_.back()->entries.push_back({info, {}});
    shards_.back()->size += size;
  }
  for (const auto& shard : shards_) {
    // Wide elements first, so that every tensor is aligned.
    std::stable_sort(shard->entries.begin(), shard->entries.end(),
                     [](const HeaderEntry& a, const HeaderEntry& b) {
                       return element_size(a.info) > element_size(b.info);
                     });
    std::int64_t offset = 0;
    for (HeaderEntry& entry : shard->entries) {
      entry.bytes = {offset, offset + entry.info.bytes().value};
      offset = entry.bytes.end;
    }
  }
}

void SafetensorsWriter::start_shard(std::size_t index,
                                    const std::map<std::string, std::string>& metadata) {
  Shard& shard = *shards_[index];
  shard.path = path_;
  if (shards_.size() > 1) {
    shard.path.replace_filename(fmt::format("{}-{:05}-of-{:05}{}", path_.stem().string(), index + 1,
                                            shards_.size(), path_.extension().string()));
  }
  const std::string header = make_header(shard.entries, metadata);
  for (const HeaderEntry& entry : shard.entries) {
    const std::int64_t offset = static_cast<std::int64_t>(header.size()) + entry.bytes.begin;
    const bool is_new = places_.emplace(entry.info.name, Place{entry.info, index, offset}).second;
    GALV_CHECK(is_new, entry.info.name, " announced twice");
  }
  fs::path temporary = shard.path;
  temporary += fmt::format(".tmp{}", getpid());
  OpenFile file(temporary, O_CREAT | O_TRUNC);
  if (!file.is_open()) {
    throw ConfigError("[weights] cannot write ", shard.path.string(), ": ", std::strerror(errno));
  }
  shard.temporary = temporary;
  file.write(header.data(), header.size(), 0);
  file.close();
}

void SafetensorsWriter::write(const std::string& name, const at::Tensor& value) {
  const auto it = places_.find(name);
  GALV_CHECK(it != places_.end(), path_.string(), " has no place for ", name);
  Place& place = it->second;
  GALV_CHECK(value.sizes() == at::IntArrayRef(place.info.shape), name, " is ",
             shape_text(value.sizes().vec()), ", announced ", shape_text(place.info.shape));
  GALV_CHECK(!place.written, name, " written twice");
  const at::Tensor data = value.detach().to(at::kCPU, place.info.dtype).contiguous();
  OpenFile file(shards_[place.shard]->temporary, 0);
  if (!file.is_open()) fail_to_write(shards_[place.shard]->temporary);
  file.write(data.data_ptr(), data.nbytes(), place.offset);
  file.close();
  place.written = true;
}

void SafetensorsWriter::finish() {
  for (const auto& [name, place] : places_) GALV_CHECK(place.written, name, " was not written");
  for (const auto& shard : shards_) {
    fs::rename(shard->temporary, shard->path);
    shard->temporary.clear();
  }
  if (shards_.size() > 1) write_index();
}

void SafetensorsWriter::write_index() const {
  std::int64_t total = 0;
  OrderedJson weight_map = OrderedJson::object();
  for (const auto& [name, place] : places_) {
    total += place.info.bytes().value;
    weight_map[name] = shards_[place.shard]->path.filename().string();
  }
  fs::path index = path_;
  index += ".index.json";
  write_json_file(index, {{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}});
}

void write_safetensors(const fs::path& path,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  std::vector<TensorInfo> infos;
  for (const auto& [name, tensor] : tensors) {
    infos.push_back({name, tensor.scalar_type(), tensor.sizes().vec()});
  }
  SafetensorsWriter writer(path, infos, {.max_shard = gibibytes(1 << 20)});
  for (const auto& [name, tensor] : tensors) writer.write(name, tensor);
  writer.finish();
}

}  // namespace galvatron::models
