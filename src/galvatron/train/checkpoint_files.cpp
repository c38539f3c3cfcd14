#include "galvatron/train/checkpoint_files.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/safetensors_header.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

using runtime::Box;

constexpr const char* kStateFileOfVersion2 = "state.safetensors";
constexpr std::int64_t kHeaderLengthBytes = 8;

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

// The part of a whole box that `part` is.
at::Tensor view_of(at::Tensor whole, const Box& box, const Box& part) {
  for (std::size_t d = 0; d < part.ranges.size(); ++d) {
    whole = whole.narrow(static_cast<std::int64_t>(d), part.ranges[d].begin - box.ranges[d].begin,
                         part.ranges[d].size());
  }
  return whole;
}

Box whole_box(const std::vector<std::int64_t>& shape) {
  Box out;
  for (const std::int64_t size : shape) out.ranges.push_back({0, size});
  return out;
}

// The parts of an entry must not share an element: then those that have as many elements as the
// whole are the whole.
void require_apart(const std::string& entry, std::vector<const Box*> boxes) {
  const auto first = [](const Box* box) { return box->ranges.empty() ? Range{} : box->ranges[0]; };
  std::sort(boxes.begin(), boxes.end(),
            [&](const Box* a, const Box* b) { return first(a).begin < first(b).begin; });
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    for (std::size_t j = i + 1; j < boxes.size(); ++j) {
      if (boxes[i]->ranges.size() != boxes[j]->ranges.size())
        throw ConfigError("parts of '", entry, "' have different numbers of dimensions");
      if (first(boxes[j]).begin >= first(boxes[i]).end) break;
      if (intersect(*boxes[i], *boxes[j]))
        throw ConfigError("'", entry, "' is there twice: its parts ", to_text(*boxes[i]), " and ",
                          to_text(*boxes[j]), " share elements");
    }
  }
}

// Links can lead anywhere.
fs::path own_file(const fs::path& checkpoint, const std::string& name) {
  const fs::path path = checkpoint / name;
  std::error_code ignored;
  if (fs::is_symlink(path, ignored))
    throw ConfigError(name, " is a link; the files of a checkpoint are in its folder");
  return path;
}

std::string type_and_shape(at::ScalarType dtype, const std::vector<std::int64_t>& shape) {
  return models::dtype_name(dtype) + " " + models::shape_text(shape);
}

}  // namespace

FileRecord write_state_file(const fs::path& path, const std::vector<StatePiece>& pieces) {
  std::vector<models::HeaderEntry> entries;
  std::int64_t offset = 0;
  for (const StatePiece& piece : pieces) {
    models::TensorInfo info{piece.entry + to_text(piece.box), piece.value.scalar_type(),
                            piece.box.shape()};
    const std::int64_t end = offset + info.bytes().value;
    entries.push_back({std::move(info), {offset, end}});
    offset = end;
  }
  DurableFile file(path);
  file.write(models::make_header(entries, {}));
  for (const StatePiece& piece : pieces)
    file.write(bytes_of(piece.value.to(at::kCPU).contiguous()));
  return file.finish();
}

// A file seen as memory, whose blocks are verified when they are first asked for.
class StateFiles::File {
 public:
  // `record`: of the index; nothing for files that have no checksums.
  File(const fs::path& path, std::optional<FileRecord> record)
      : name_(path.filename().string()), mapped_(path), record_(std::move(record)) {
    if (!record_) return;
    if (size() != record_->bytes)
      throw ConfigError(name_, " has ", size(), " bytes, not ", record_->bytes);
    verified_.resize(record_->blocks.size(), false);
  }

  std::int64_t size() const { return static_cast<std::int64_t>(mapped_.bytes().size()); }

  // Verified. REQUIRES: inside the file.
  std::span<const std::byte> bytes(Range range) {
    if (record_ && !range.empty()) {
      const std::int64_t last = (range.end - 1) / kChecksumBlock;
      for (std::int64_t block = range.begin / kChecksumBlock; block <= last; ++block) verify(block);
    }
    return part(range);
  }

  std::vector<models::HeaderEntry> header() {
    const std::int64_t length_end = std::min(size(), kHeaderLengthBytes);
    std::uint64_t length = 0;
    for (std::size_t i = 0; const std::byte byte : bytes({0, length_end}))
      length |= std::to_integer<std::uint64_t>(byte) << (8 * i++);
    // A length beyond the end is the parser's to refuse.
    const auto most = static_cast<std::uint64_t>(size() - length_end);
    bytes({0, length_end + static_cast<std::int64_t>(std::min(length, most))});
    return models::parse_header(mapped_.bytes(), name_);
  }

 private:
  std::span<const std::byte> part(Range range) const {
    return mapped_.bytes().subspan(static_cast<std::size_t>(range.begin),
                                   static_cast<std::size_t>(range.size()));
  }

  void verify(std::int64_t block) {
    const auto index = static_cast<std::size_t>(block);
    if (verified_[index]) return;
    const std::int64_t begin = block * kChecksumBlock,
                       end = std::min(begin + kChecksumBlock, record_->bytes);
    if (checksum(part({begin, end})) != record_->blocks[index])
      throw ConfigError(name_, " was changed: its bytes ", begin, " to ", end - 1,
                        " do not have their checksum");
    verified_[index] = true;
  }

  std::string name_;
  MappedFile mapped_;
  std::optional<FileRecord> record_;
  std::vector<bool> verified_;
};

StateFiles::StateFiles(fs::path checkpoint, const CheckpointIndex& index)
    : checkpoint_(std::move(checkpoint)) {
  try {
    if (index.version < 3) add_file({kStateFileOfVersion2, 0, {}}, index.version);
    for (const FileRecord& record : index.files) add_file(record, index.version);
    for (const auto& [entry, parts] : entries_) {
      std::vector<const Box*> boxes;
      for (const Stored& stored : parts) boxes.push_back(&stored.box);
      require_apart(entry, std::move(boxes));
    }
  } catch (const ConfigError& error) {
    throw DamagedCheckpoint(checkpoint_, error.what());
  }
}

StateFiles::~StateFiles() = default;

void StateFiles::add_file(const FileRecord& record, int version) {
  const bool has_checksums = version >= 3;
  files_.push_back(std::make_unique<File>(own_file(checkpoint_, record.name),
                                          has_checksums ? std::optional(record) : std::nullopt));
  File& file = *files_.back();
  for (const models::HeaderEntry& entry : file.header()) add_entry(file, entry, version);
}

void StateFiles::add_entry(File& file, const models::HeaderEntry& entry, int version) {
  const auto& [info, bytes] = entry;
  if (version < 3) {
    entries_[info.name].push_back({whole_box(info.shape), info.dtype, &file, bytes.begin});
    return;
  }
  const std::size_t mark = std::min(info.name.rfind('['), info.name.size());
  const auto box = runtime::parse_box(std::string_view(info.name).substr(mark));
  if (!box || box->shape() != info.shape)
    throw ConfigError("tensor '", info.name, "' of shape ", models::shape_text(info.shape),
                      " does not say which part of a parameter it is");
  entries_[info.name.substr(0, mark)].push_back({*box, info.dtype, &file, bytes.begin});
}

std::string StateFiles::problem_with(const std::string& entry, at::ScalarType dtype,
                                     const std::vector<std::int64_t>& shape) const {
  const std::string wanted = entry + " must be " + type_and_shape(dtype, shape);
  const auto found = entries_.find(entry);
  if (found == entries_.end()) return wanted + ", but is missing";
  std::vector<std::int64_t> extent(found->second.front().box.ranges.size(), 0);
  std::int64_t numel = 0, expected = 1;
  for (const Stored& stored : found->second) {
    if (stored.box.ranges.size() != extent.size()) return wanted + ", but its parts do not fit";
    for (std::size_t d = 0; d < extent.size(); ++d)
      extent[d] = std::max(extent[d], stored.box.ranges[d].end);
    numel += stored.box.numel();
    if (stored.dtype != dtype) return wanted + ", not " + type_and_shape(stored.dtype, extent);
  }
  if (extent != shape) return wanted + ", not " + type_and_shape(dtype, extent);
  for (const std::int64_t size : shape) expected *= size;
  if (numel == expected) return "";
  return fmt::format("{}, but {} of its {} elements are there", wanted, numel, expected);
}

at::Tensor StateFiles::view(const Stored& stored, const Box& part) const {
  const auto width = static_cast<std::int64_t>(c10::elementSize(stored.dtype));
  std::int64_t first = 0, last = 0, stride = 1;  // elements of the part, within the stored box
  for (std::size_t d = part.ranges.size(); d-- > 0;) {
    const Range& held = stored.box.ranges[d];
    first += (part.ranges[d].begin - held.begin) * stride;
    last += (part.ranges[d].end - 1 - held.begin) * stride;
    stride *= held.size();
  }
  const auto bytes =
      stored.file->bytes({stored.offset + first * width, stored.offset + (last + 1) * width});
  const auto* begin = reinterpret_cast<const std::uint8_t*>(bytes.data());
  std::vector<std::int64_t> shape = part.shape(), strides(shape.size());
  stride = 1;
  for (std::size_t d = shape.size(); d-- > 0;) {
    strides[d] = stride;
    stride *= stored.box.ranges[d].size();
  }
  const auto options = at::TensorOptions().dtype(stored.dtype);
  // Files of old versions need not be aligned.
  if (reinterpret_cast<std::uintptr_t>(begin) % static_cast<std::size_t>(width) == 0)
    return at::from_blob(const_cast<std::uint8_t*>(begin), shape, strides, options);
  at::Tensor copy = at::empty({last - first + 1}, options);
  std::memcpy(copy.data_ptr(), begin, bytes.size());
  return copy.as_strided(shape, strides);
}

void StateFiles::read(const std::string& entry, const Box& box, const at::Tensor& target) {
  std::int64_t copied = 0;
  const auto found = entries_.find(entry);
  if (found == entries_.end()) throw DamagedCheckpoint(checkpoint_, entry + " is missing");
  for (const Stored& stored : found->second) {
    if (stored.box.ranges.size() != box.ranges.size())
      throw DamagedCheckpoint(checkpoint_, entry + " has another number of dimensions");
    const auto part = intersect(stored.box, box);
    if (!part) continue;
    try {
      view_of(target, box, *part).copy_(view(stored, *part));
    } catch (const ConfigError& error) {
      throw DamagedCheckpoint(checkpoint_, error.what());
    }
    copied += part->numel();
  }
  if (copied != box.numel())
    throw DamagedCheckpoint(checkpoint_, entry + to_text(box) + " is not whole");
}

}  // namespace galvatron::train
