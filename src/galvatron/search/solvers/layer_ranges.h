// Every range of consecutive layers of a model, ranges of equal layer types under one number: a
// question about a stage is asked once for all of them.
#pragma once
#include <vector>

namespace galvatron::search {

class LayerRanges {
 public:
  // Type of every layer of the model.
  explicit LayerRanges(const std::vector<int>& types);

  int num_layers() const { return num_layers_; }
  int num_kinds() const { return static_cast<int>(types_.size()); }
  // Of layers begin .. end-1. REQUIRES: 0 <= begin < end <= num_layers.
  int kind(int begin, int end) const {
    return kind_[static_cast<std::size_t>(begin * (num_layers_ + 1) + end)];
  }
  // Types of a kind's layers, first to last.
  const std::vector<int>& types(int kind) const { return types_[static_cast<std::size_t>(kind)]; }
  // How many layers of each type.
  const std::vector<int>& counts(int kind) const { return counts_[static_cast<std::size_t>(kind)]; }
  // The first layer behind `layer` that is of another type.
  int run_end(int layer) const { return run_end_[static_cast<std::size_t>(layer)]; }
  // Is every range of the kind at the model's beginning? At its end?
  bool only_first(int kind) const { return only_first_[static_cast<std::size_t>(kind)]; }
  bool only_last(int kind) const { return only_last_[static_cast<std::size_t>(kind)]; }

 private:
  int num_layers_;
  std::vector<int> kind_, run_end_;
  std::vector<std::vector<int>> types_, counts_;
  std::vector<bool> only_first_, only_last_;
};

}  // namespace galvatron::search
