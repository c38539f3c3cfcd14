// One process plays one rank of a large world.
#include <gtest/gtest.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/comm/world.h"

namespace galvatron::comm {
namespace {

TEST(FakeWorld, EveryOperationEndsAtOnce) {
  World world = fake_world(/*rank=*/37, /*size=*/64);
  world.create_groups({{36, 37}, {0, 1}, {5, 37, 63}});
  EXPECT_EQ(world.num_communicators(), 3);  // all, and the two that hold rank 37
  const Group group = world.group({5, 37, 63});
  EXPECT_EQ(group.rank(), 1);
  EXPECT_EQ(world.all().name(), "ranks 0,1,2,3,...,63 (64 ranks)");

  at::Tensor tensor = at::arange(6, at::kFloat);
  group.all_reduce(tensor);
  EXPECT_TRUE(at::equal(tensor, at::arange(6, at::kFloat)));
  at::Tensor gathered = at::empty({18});
  group.all_gather(gathered, tensor);
  EXPECT_TRUE(at::equal(gathered, tensor.repeat({3})));
  at::Tensor scattered = at::empty({2});
  group.reduce_scatter_async(scattered, tensor).wait();
  EXPECT_TRUE(at::equal(scattered, at::tensor({2.F, 3.F})));
  at::Tensor output = at::ones({4});
  group.all_to_all(output, tensor, {0, 1, 3}, {2, 3, 1});
  EXPECT_TRUE(at::equal(output, at::tensor({2.F, 5.F, 0.F, 0.F})));
  group.send(tensor, 0, 1).wait();
  group.receive(tensor, 2, 1).wait();
  EXPECT_EQ(tensor.abs().sum().item<float>(), 0);
  group.barrier();
}

TEST(FakeWorld, AutogradSeesNothingOfACollective) {
  // Saved tensors and version counters stay as they are, so that a gathered parameter may be
  // refilled before backward.
  World world = fake_world(0, 2);
  at::Tensor weight = at::ones({4}, at::kFloat).requires_grad_();
  const at::Tensor loss = (weight * weight).sum();
  const auto version = weight._version();
  at::Tensor target = weight.detach();
  const at::Tensor shard = at::full({2}, 3.F);
  world.all().all_gather(target, shard);
  EXPECT_EQ(weight._version(), version);
  loss.backward();
  EXPECT_TRUE(at::equal(weight.grad(), at::full({4}, 6.F)));
}

}  // namespace
}  // namespace galvatron::comm
