// The autograd collectives on rank threads: forward against the whole tensor, backward against its
// transpose.
#include "galvatron/nn/collectives.h"

#include <gtest/gtest.h>

#include "galvatron/base/partition.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/comm/world.h"
#include "galvatron/nn/norm.h"

namespace galvatron::nn {
namespace {

constexpr std::int64_t kLength = 7;  // uneven over 2 and 3 ranks

std::vector<std::int64_t> sizes_of(int parts) {
  std::vector<std::int64_t> out;
  for (int i = 0; i < parts; ++i) out.push_back(chunk(kLength, parts, i).size());
  return out;
}

at::Tensor whole(at::IntArrayRef shape, double offset = 0) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return (at::arange(count, at::kDouble) + offset).sin().view(shape);
}

at::Tensor mine(const at::Tensor& x, const comm::World& world) {
  const Range part = chunk(kLength, world.size(), world.rank());
  return x.narrow(1, part.begin, part.size()).contiguous();
}

class Collectives : public ::testing::TestWithParam<int> {};

TEST_P(Collectives, GatherSequenceAndItsReduceScatter) {
  comm::run_rank_threads(GetParam(), [](comm::World& world) {
    const at::Tensor x = whole({2, kLength, 3});
    const at::Tensor local = mine(x, world).requires_grad_(true);
    const at::Tensor gathered = gather_sequence(local, world.all(), sizes_of(world.size()));
    EXPECT_TRUE(at::equal(gathered.detach(), x));
    // Each rank's gradient is (rank + 1) times the same tensor; the sum over ranks reaches the
    // local part.
    const at::Tensor grad = whole({2, kLength, 3}, 1);
    const at::Tensor back =
        torch::autograd::grad({gathered}, {local}, {grad * (world.rank() + 1)})[0];
    const double factor = world.size() * (world.size() + 1) / 2.0;
    EXPECT_TRUE(at::allclose(back, mine(grad, world) * factor, 1e-12, 1e-12));
  });
}

TEST_P(Collectives, SumOverGroupAndItsSum) {
  comm::run_rank_threads(GetParam(), [](comm::World& world) {
    const at::Tensor x = (whole({2, 3}) * (world.rank() + 1)).requires_grad_(true);
    const double factor = world.size() * (world.size() + 1) / 2.0;
    const at::Tensor sum = sum_over_group(x, world.all());
    EXPECT_TRUE(at::allclose(sum.detach(), whole({2, 3}) * factor, 1e-12, 1e-12));
    const at::Tensor grad = whole({2, 3}, 1) * (world.rank() + 1);
    EXPECT_TRUE(at::allclose(torch::autograd::grad({sum}, {x}, {grad})[0],
                             whole({2, 3}, 1) * factor, 1e-12, 1e-12));
  });
}

// Every rank has some of the features, and a part of the loss.
TEST_P(Collectives, DividedRmsNormIsThatOfTheWhole) {
  comm::run_rank_threads(GetParam(), [](comm::World& world) {
    const std::int64_t part = 4, width = part * world.size();
    const at::Tensor x = whole({2, 3, width}).requires_grad_(true);
    const at::Tensor weight = whole({width}, 5).requires_grad_(true);
    const at::Tensor grad = whole({2, 3, width}, 9);
    const auto mine_of = [&](const at::Tensor& t) {
      return t.narrow(-1, world.rank() * part, part);
    };
    const at::Tensor x_part = mine_of(x.detach()).clone().requires_grad_(true);
    const at::Tensor weight_part = mine_of(weight.detach()).clone().requires_grad_(true);
    const at::Tensor expected = rms_norm(x, weight, 1e-6);
    const at::Tensor ours = divided_rms_norm(x_part, weight_part, 1e-6, world.all());
    EXPECT_TRUE(at::allclose(ours, mine_of(expected), 1e-12, 1e-12));
    const auto a = torch::autograd::grad({ours}, {x_part, weight_part}, {mine_of(grad)});
    const auto b = torch::autograd::grad({expected}, {x, weight}, {grad});
    EXPECT_TRUE(at::allclose(a[0], mine_of(b[0]), 1e-12, 1e-12));
    EXPECT_TRUE(at::allclose(a[1], mine_of(b[1]), 1e-12, 1e-12));
  });
}

TEST_P(Collectives, ReduceScatterSequenceAndItsGather) {
  comm::run_rank_threads(GetParam(), [](comm::World& world) {
    const at::Tensor x = (whole({2, kLength, 3}) * (world.rank() + 1)).requires_grad_(true);
    const at::Tensor part = reduce_scatter_sequence(x, world.all(), sizes_of(world.size()));
    const double factor = world.size() * (world.size() + 1) / 2.0;
    EXPECT_TRUE(
        at::allclose(part.detach(), mine(whole({2, kLength, 3}), world) * factor, 1e-12, 1e-12));
    const at::Tensor grad = whole({2, kLength, 3}, 1);
    EXPECT_TRUE(at::equal(torch::autograd::grad({part}, {x}, {mine(grad, world)})[0], grad));
  });
}

TEST_P(Collectives, HeadsAndSequenceAreInverse) {
  comm::run_rank_threads(GetParam(), [](comm::World& world) {
    const int u = world.size();
    const at::Tensor x = whole({2, kLength, 2 * u, 3});
    const at::Tensor local = mine(x, world).requires_grad_(true);
    const at::Tensor heads = sequence_to_heads(local, world.all(), sizes_of(u));
    EXPECT_TRUE(at::equal(heads.detach(), x.narrow(2, 2 * world.rank(), 2)));
    const at::Tensor back = heads_to_sequence(heads, world.all(), sizes_of(u));
    EXPECT_TRUE(at::equal(back.detach(), local.detach()));
    const at::Tensor grad = mine(whole({2, kLength, 2 * u, 3}, 1), world);
    EXPECT_TRUE(at::equal(torch::autograd::grad({back}, {local}, {grad})[0], grad));
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, Collectives, ::testing::Values(1, 2, 3));

}  // namespace
}  // namespace galvatron::nn
