#include "galvatron/spec/param_spec.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "galvatron/base/error.h"

namespace galvatron::spec {
namespace {

std::int64_t product(const std::vector<std::int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

}  // namespace

std::int64_t ParamSpec::numel() const { return product(shape); }

std::vector<Range> local_ranges(const ParamSpec& param, int tp_degree, int tp_rank) {
  GALV_CHECK(tp_rank >= 0 && tp_rank < tp_degree, "tp_rank ", tp_rank, " of ", tp_degree);
  GALV_CHECK(!param.shape.empty(), param.name, " has no shape");
  const TensorSplit& split = param.split;
  if (!split.divided()) return {{0, param.shape[0]}};
  std::vector<Range> ranges;
  std::int64_t begin = 0;
  for (const std::int64_t length : split.segments) {
    GALV_CHECK(length % split.unit == 0, param.name, ": unit ", split.unit, " and segment ",
               length);
    const Range units = chunk(length / split.unit, tp_degree, tp_rank);
    ranges.push_back({begin + units.begin * split.unit, begin + units.end * split.unit});
    begin += length;
  }
  GALV_CHECK(begin == param.shape[static_cast<std::size_t>(split.dim)], param.name,
             ": segments sum to ", begin);
  return ranges;
}

std::vector<std::int64_t> local_shape(const ParamSpec& param, int tp_degree, int tp_rank) {
  std::vector<std::int64_t> shape = param.shape;
  if (!param.split.divided()) return shape;
  std::int64_t length = 0;
  for (const Range& range : local_ranges(param, tp_degree, tp_rank)) length += range.size();
  shape[static_cast<std::size_t>(param.split.dim)] = length;
  return shape;
}

std::int64_t local_numel(const ParamSpec& param, int tp_degree, int tp_rank) {
  return product(local_shape(param, tp_degree, tp_rank));
}

std::int64_t largest_local_numel(const ParamSpec& param, int tp_degree) {
  if (!param.split.divided()) return param.numel();
  std::int64_t largest = 0;
  for (int rank = 0; rank < tp_degree; ++rank) {
    largest = std::max(largest, local_numel(param, tp_degree, rank));
  }
  return largest;
}

}  // namespace galvatron::spec
