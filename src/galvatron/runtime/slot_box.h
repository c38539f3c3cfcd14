// The elements that a rank owns as rectangular parts of whole parameters: how checkpoints name
// them, whatever plan wrote or reads them.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/runtime/param_unit.h"

namespace galvatron::runtime {

// A rectangular part of a tensor: one range for each dimension.
struct Box {
  std::vector<Range> ranges;

  std::int64_t numel() const;
  std::vector<std::int64_t> shape() const;
  bool operator==(const Box&) const = default;
};

// "[0:64,128:256]", and back; nothing for other text.
std::string to_text(const Box& box);
std::optional<Box> parse_box(std::string_view text);

// What both hold; nothing where that is nothing. REQUIRES: of as many dimensions.
std::optional<Box> intersect(const Box& a, const Box& b);

// The same elements in the whole parameter and in a rank's part of it.
struct SlotBox {
  Box global, local;
};

// `elements` of the slot's local part, row-major, as few boxes: every element is in one of them.
std::vector<SlotBox> boxes_of(const ParamSlot& slot, Range elements);

// The elements of a local box inside a flat tensor that begins with element `begin` of the unit.
// Shares its memory. REQUIRES: the tensor is contiguous and holds them.
at::Tensor box_view(const ParamSlot& slot, const Box& local, const at::Tensor& flat,
                    std::int64_t begin);

}  // namespace galvatron::runtime
