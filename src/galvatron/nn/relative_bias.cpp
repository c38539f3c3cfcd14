#include "galvatron/nn/relative_bias.h"

#include <cmath>

#include "galvatron/comm/torch_headers.h"

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
                         std::int64_t length) {
  const at::Tensor buckets = relative_buckets(bias, length).to(table.device());
  const at::Tensor by_distance_nD =
      table.narrow(1, heads.begin, heads.size()).index_select(0, buckets).t();
  // Window w holds the distances of keys 0 .. length - 1 to query length - 1 - w.
  return by_distance_nD.unfold(1, length, 1).flip(1).unsqueeze(0);
}

}  // namespace galvatron::nn
