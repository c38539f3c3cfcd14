#include "galvatron/nn/relative_bias.h"

#include <cmath>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/layer.h"
#include "galvatron/nn/tables.h"

namespace galvatron::nn {
namespace {

// Half of the buckets hold one distance each, the others logarithmically growing ranges up to
// max_distance.
at::Tensor bucket_of_distance(const at::Tensor& distance, std::int64_t num_buckets,
                              std::int64_t max_distance) {
  const std::int64_t exact = num_buckets / 2;
  const double steps = std::log(static_cast<double>(max_distance) / static_cast<double>(exact));
  const at::Tensor far = at::log(distance.to(at::kFloat).div(exact))
                             .div(steps)
                             .mul(num_buckets - exact)
                             .to(at::kLong) +
                         exact;
  return at::where(distance.lt(exact), distance, far.clamp_max(num_buckets - 1));
}

}  // namespace

at::Tensor relative_buckets(const RelativeBias& bias, std::int64_t length) {
  const at::Tensor distance = at::arange(1 - length, length, at::kLong);
  if (!bias.bidirectional) {
    return bucket_of_distance(distance.neg().clamp_min(0), bias.num_buckets, bias.max_distance);
  }
  const std::int64_t half = bias.num_buckets / 2;
  return bucket_of_distance(distance.abs(), half, bias.max_distance) +
         distance.gt(0).to(at::kLong).mul(half);
}

at::Tensor relative_bias(const at::Tensor& table, const RelativeBias& bias, Range heads,
                         std::int64_t length, const LayerCall& call) {
  const std::vector<double> numbers = {static_cast<double>(bias.num_buckets),
                                       static_cast<double>(bias.max_distance),
                                       bias.bidirectional ? 1.0 : 0.0};
  const at::Tensor all = nn::table(
      call, {TableKind::kRelativeBuckets, numbers}, length,
      [&](std::int64_t longest) { return relative_buckets(bias, longest).to(table.device()); });
  // Distances from -(longest - 1) on, of which those in the middle are wanted.
  const at::Tensor buckets = all.narrow(0, all.size(0) / 2 - (length - 1), 2 * length - 1);
  const at::Tensor by_distance_nD =
      table.narrow(1, heads.begin, heads.size()).index_select(0, buckets).t();
  // Window w holds the distances of keys 0 .. length - 1 to query length - 1 - w.
  return by_distance_nD.unfold(1, length, 1).flip(1).unsqueeze(0);
}

}  // namespace galvatron::nn
