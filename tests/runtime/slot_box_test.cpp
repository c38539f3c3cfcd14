#include "galvatron/runtime/slot_box.h"

#include <random>

#include <gtest/gtest.h>

#include "galvatron/comm/torch_headers.h"

namespace galvatron::runtime {
namespace {

// The part of one rank of `parts` of a parameter of that shape.
ParamSlot slot_of(const spec::ParamSpec& param, int parts, int part) {
  return {&param,
          param.name,
          spec::local_ranges(param, parts, part),
          spec::local_shape(param, parts, part),
          /*offset=*/5,
          spec::local_numel(param, parts, part)};
}

// Every element of `elements` of the slot's local part, by way of the boxes, must be the one that
// the whole parameter has there.
void expect_exact(const ParamSlot& slot, Range elements) {
  const at::Tensor whole = at::arange(slot.spec->numel()).view(slot.spec->shape);
  const at::Tensor local = local_from_global(slot, whole).contiguous().view({-1});
  at::Tensor flat = at::full({elements.size()}, -1, at::kLong);
  std::int64_t covered = 0;
  for (const SlotBox& box : boxes_of(slot, elements)) {
    at::Tensor view = box_view(slot, box.local, flat, slot.offset + elements.begin);
    EXPECT_TRUE(at::equal(view, at::full(box.local.shape(), -1, at::kLong))) << "twice";
    at::Tensor part = whole;
    for (std::size_t d = 0; d < box.global.ranges.size(); ++d) {
      const Range range = box.global.ranges[d];
      part = part.narrow(static_cast<std::int64_t>(d), range.begin, range.size());
    }
    view.copy_(part);
    covered += box.global.numel();
  }
  EXPECT_EQ(covered, elements.size());
  EXPECT_TRUE(at::equal(flat, local.narrow(0, elements.begin, elements.size())))
      << slot.full_name << " " << elements.begin << ":" << elements.end;
}

spec::ParamSpec param_of(std::vector<std::int64_t> shape, spec::TensorSplit split) {
  spec::ParamSpec param;
  param.name = "weight";
  param.shape = std::move(shape);
  param.split = std::move(split);
  return param;
}

TEST(SlotBox, OfAnyRangeHoldsItsElementsOnce) {
  std::mt19937_64 random(3);
  const std::vector<spec::ParamSpec> params = {
      param_of({7}, {}),
      param_of({6, 5}, {}),
      param_of({4, 3, 2, 2}, {}),
      param_of({12, 5}, {.dim = 0, .segments = {6, 3, 3}}),
      param_of({5, 12}, {.dim = 1, .segments = {6, 6}}),
  };
  for (const spec::ParamSpec& param : params) {
    const int parts = param.split.divided() ? 3 : 1;
    for (int part = 0; part < parts; ++part) {
      const ParamSlot slot = slot_of(param, parts, part);
      expect_exact(slot, {0, slot.numel});
      for (int i = 0; i < 50; ++i) {
        const auto a =
            static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(slot.numel + 1));
        const auto b =
            static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(slot.numel + 1));
        expect_exact(slot, {std::min(a, b), std::max(a, b)});
      }
    }
  }
}

TEST(Box, ReadsBackFromItsText) {
  const Box box{{{0, 64}, {128, 256}}};
  EXPECT_EQ(to_text(box), "[0:64,128:256]");
  EXPECT_EQ(parse_box("[0:64,128:256]"), box);
  for (const char* text : {"", "[]", "[0:64", "[0-64]", "[64:0]", "[0:0]", "[0:1,]", "[0:1]x",
                           "[-1:4]", "[0:99999999999999999999]"})
    EXPECT_EQ(parse_box(text), std::nullopt) << text;
}

TEST(Box, IntersectsOrNot) {
  const Box a{{{0, 4}, {2, 6}}}, b{{{3, 5}, {0, 3}}}, c{{{4, 5}, {2, 6}}};
  EXPECT_EQ(intersect(a, b), (Box{{{3, 4}, {2, 3}}}));
  EXPECT_EQ(intersect(a, c), std::nullopt);
}

}  // namespace
}  // namespace galvatron::runtime
