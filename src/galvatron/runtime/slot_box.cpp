#include "galvatron/runtime/slot_box.h"

#include <algorithm>
#include <charconv>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::runtime {
namespace {

std::int64_t product(const std::vector<std::int64_t>& sizes, std::size_t from) {
  std::int64_t out = 1;
  for (std::size_t d = from; d < sizes.size(); ++d) out *= sizes[d];
  return out;
}

// Appends the boxes of row-major `elements` of dimensions `dim` and up; `box` holds those before.
void add_boxes(const std::vector<std::int64_t>& shape, std::size_t dim, Range elements, Box& box,
               std::vector<Box>& out) {
  if (elements.empty()) return;
  const std::int64_t row = product(shape, dim + 1);
  const auto add_part_of_row = [&](std::int64_t index, Range part) {
    box.ranges[dim] = {index, index + 1};
    add_boxes(shape, dim + 1, {part.begin - index * row, part.end - index * row}, box, out);
  };
  const std::int64_t first = elements.begin / row, last = elements.end / row;
  if (first == last) return add_part_of_row(first, elements);
  std::int64_t whole = first;
  if (elements.begin % row != 0) {
    ++whole;
    add_part_of_row(first, {elements.begin, whole * row});
  }
  if (whole < last) {
    box.ranges[dim] = {whole, last};
    for (std::size_t d = dim + 1; d < shape.size(); ++d) box.ranges[d] = {0, shape[d]};
    out.push_back(box);
  }
  if (elements.end % row != 0) add_part_of_row(last, {last * row, elements.end});
}

// A local box cut where the slot's ranges of the split dimension meet, in both coordinates.
void add_segments(const ParamSlot& slot, const Box& local, std::vector<SlotBox>& out) {
  const auto dim = static_cast<std::size_t>(std::max(slot.spec->split.dim, 0));
  std::int64_t before = 0;
  for (const Range& range : slot.ranges) {
    const Range held = intersect(local.ranges[dim], Range{before, before + range.size()});
    if (!held.empty()) {
      SlotBox part{local, local};
      part.local.ranges[dim] = held;
      const std::int64_t shift = range.begin - before;
      part.global.ranges[dim] = {held.begin + shift, held.end + shift};
      out.push_back(std::move(part));
    }
    before += range.size();
  }
}

}  // namespace

std::int64_t Box::numel() const {
  std::int64_t out = 1;
  for (const Range& range : ranges) out *= range.size();
  return out;
}

std::vector<std::int64_t> Box::shape() const {
  std::vector<std::int64_t> out;
  for (const Range& range : ranges) out.push_back(range.size());
  return out;
}

std::string to_text(const Box& box) {
  std::string out = "[";
  for (const Range& range : box.ranges) {
    if (out.size() > 1) out += ',';
    out += std::to_string(range.begin) + ":" + std::to_string(range.end);
  }
  return out + "]";
}

std::optional<Box> parse_box(std::string_view text) {
  Box box;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto takes = [&](char mark) { return at < end && *at++ == mark; };
  const auto takes_number = [&](std::int64_t& value) {
    const auto [stop, error] = std::from_chars(at, end, value);
    at = stop;
    return error == std::errc() && value >= 0;
  };
  if (!takes('[')) return std::nullopt;
  do {
    Range range;
    if (!takes_number(range.begin) || !takes(':') || !takes_number(range.end) || range.empty())
      return std::nullopt;
    box.ranges.push_back(range);
  } while (at < end && *at == ',' && ++at);
  if (!takes(']') || at != end) return std::nullopt;
  return box;
}

std::optional<Box> intersect(const Box& a, const Box& b) {
  GALV_CHECK(a.ranges.size() == b.ranges.size(), to_text(a), " and ", to_text(b));
  Box out;
  for (std::size_t d = 0; d < a.ranges.size(); ++d) {
    out.ranges.push_back(intersect(a.ranges[d], b.ranges[d]));
    if (out.ranges.back().empty()) return std::nullopt;
  }
  return out;
}

std::vector<SlotBox> boxes_of(const ParamSlot& slot, Range elements) {
  if (elements.empty()) return {};
  GALV_CHECK(elements.begin >= 0 && elements.end <= slot.numel, slot.full_name);
  std::vector<Box> local;
  Box box{std::vector<Range>(slot.shape.size())};
  add_boxes(slot.shape, 0, elements, box, local);
  std::vector<SlotBox> out;
  for (const Box& part : local) add_segments(slot, part, out);
  return out;
}

at::Tensor box_view(const ParamSlot& slot, const Box& local, const at::Tensor& flat,
                    std::int64_t begin) {
  std::int64_t offset = flat.storage_offset() + slot.offset - begin;
  std::vector<std::int64_t> strides;
  for (std::size_t d = 0; d < slot.shape.size(); ++d) {
    strides.push_back(product(slot.shape, d + 1));
    offset += local.ranges[d].begin * strides.back();
  }
  return flat.as_strided(local.shape(), strides, offset);
}

}  // namespace galvatron::runtime
