// The state inside a checkpoint's folder: safetensors files, one of each rank that wrote, whose
// tensors are boxes of whole parameters.
//
// A tensor's name says what it is: "weights/block.0.attention.qkv.weight[0:64,0:128]" is that box
// of the master weights, "exp_avg/..." of a state of the optimizer. Versions 1 and 2 hold whole
// tensors under the name alone.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/base/mapped_file.h"
#include "galvatron/models/safetensors_header.h"
#include "galvatron/runtime/slot_box.h"
#include "galvatron/train/checkpoint_index.h"

namespace galvatron::train {

// A box of a whole tensor, to be written or read: `entry` is "weights/<parameter>".
struct StatePiece {
  std::string entry;
  runtime::Box box;
  at::Tensor value;  // of the box's shape
};

// Writes a rank's file and returns when it is on the disk. RuntimeFailure when it cannot.
FileRecord write_state_file(const std::filesystem::path& path,
                            const std::vector<StatePiece>& pieces);

// Reads no more than it is asked for, and verifies what it reads.
class StateFiles {
 public:
  // Opens the files and reads their headers. DamagedCheckpoint for one that is missing, of another
  // size, or has a header that was changed.
  StateFiles(std::filesystem::path checkpoint, const CheckpointIndex& index);
  ~StateFiles();

  // What is wrong with an entry that must have this type and shape; "" for nothing.
  std::string problem_with(const std::string& entry, at::ScalarType dtype,
                           const std::vector<std::int64_t>& shape) const;
  // Copies `box` of the entry to `target`. DamagedCheckpoint where it is not whole, or the
  // bytes on the disk were changed.
  void read(const std::string& entry, const runtime::Box& box, const at::Tensor& target);

 private:
  class File;
  struct Stored {
    runtime::Box box;
    at::ScalarType dtype;
    File* file;
    std::int64_t offset;  // of the first byte in the file
  };
  void add_file(const FileRecord& record, int version);
  void add_entry(File& file, const models::HeaderEntry& entry, int version);
  // A part of what is stored, over the mapped file and verified. REQUIRES: inside of it.
  at::Tensor view(const Stored& stored, const runtime::Box& part) const;

  std::filesystem::path checkpoint_;
  std::vector<std::unique_ptr<File>> files_;
  std::map<std::string, std::vector<Stored>> entries_;
};

}  // namespace galvatron::train
