// Tensors of numbers that layers need at every call and that no parameter changes: angles, index
// tables, masks. Made once on a rank's device, so that a step copies none of them there.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace galvatron::nn {

struct LayerCall;

enum class TableKind {
  kRotaryFrequencies,
  kRotary,
  kRelativeBuckets,
  kSlidingMask,
  kWindowOffsets,
  kWindowMask
};

// Of one rank; not for several threads at once.
class Tables {
 public:
  // All that the numbers depend on, but for the table's length.
  using Key = std::pair<TableKind, std::vector<double>>;
  using Make = std::function<at::Tensor(std::int64_t length)>;

  // The longest table of this key that was asked for: as long as `length`, or longer.
  at::Tensor get(const Key& key, std::int64_t length, const Make& make);

 private:
  struct Entry {
    std::int64_t length = -1;
    at::Tensor table;
  };
  std::map<Key, Entry> entries_;
};

// From the call's tables, or made anew where it has none.
at::Tensor table(const LayerCall& call, const Tables::Key& key, std::int64_t length,
                 const Tables::Make& make);

}  // namespace galvatron::nn
