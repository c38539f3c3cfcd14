// Worlds: which groups exist, and how one rank's failure ends the others.
#include "galvatron/comm/world.h"

#include <atomic>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::comm {
namespace {

template <typename Error>
std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(World, OneRankNeedsNoBackend) {
  World world = single_world();
  EXPECT_EQ(world.size(), 1);
  EXPECT_EQ(world.all().size(), 1);
  EXPECT_EQ(world.num_communicators(), 0);
  at::Tensor tensor = at::ones({3});
  world.all().all_reduce(tensor);
  EXPECT_EQ(tensor.sum().item<double>(), 3);
}

TEST(World, GroupsAreMadeOncePerRankSet) {
  run_rank_threads(4, [](World& world) {
    EXPECT_EQ(world.num_communicators(), 1);  // all ranks
    world.create_groups({{2, 3}, {0, 1}, {1, 0}, {0, 1, 2, 3}, {2}, {0, 2}, {1, 3}});
    world.create_groups({{0, 1}, {2, 3}});
    EXPECT_EQ(world.num_communicators(), 3);
    const int pair = world.rank() / 2 * 2;
    const Group group = world.group({pair, pair + 1});
    EXPECT_EQ(group.size(), 2);
    EXPECT_EQ(group.rank(), world.rank() % 2);
    EXPECT_EQ(group.name(), "ranks " + std::to_string(pair) + "," + std::to_string(pair + 1));
    EXPECT_EQ(world.group({world.rank()}).ranks(), std::vector<int>{world.rank()});
    at::Tensor tensor = at::full({2}, world.rank());
    group.all_reduce(tensor);
    EXPECT_EQ(tensor[0].item<int>(), 2 * pair + 1);
  });
}

TEST(World, AskingForAGroupThatNobodyCreatedIsOurBug) {
  EXPECT_THROW(run_rank_threads(3, [](World& world) { world.group({0, 1, 2, 3}); }), InternalError);
  EXPECT_THROW(run_rank_threads(3,
                                [](World& world) {
                                  if (world.rank() < 2)
                                    world.group({0, 1});
                                  else
                                    world.all().barrier();
                                }),
               InternalError);
}

TEST(World, DifferentSizesAreNamed) {
  const std::string message = message_of<RuntimeFailure>([] {
    run_rank_threads(2, [](World& world) {
      at::Tensor tensor = at::zeros({world.rank() == 0 ? 8 : 4});
      world.all().all_reduce(tensor);
    });
  });
  EXPECT_NE(message.find("rank 0 calls all_reduce sum of 8 Float"), std::string::npos) << message;
  EXPECT_NE(message.find("rank 1 calls all_reduce sum of 4 Float"), std::string::npos) << message;
}

TEST(World, DifferentOperationsAreNamed) {
  const std::string message = message_of<RuntimeFailure>([] {
    run_rank_threads(3, [](World& world) {
      at::Tensor tensor = at::zeros({4});
      if (world.rank() == 2) {
        world.all().broadcast(tensor, 0);
      } else {
        world.all().all_reduce(tensor);
      }
    });
  });
  EXPECT_NE(message.find("all_reduce sum of 4"), std::string::npos) << message;
  EXPECT_NE(message.find("rank 2 calls broadcast from 0 of 4"), std::string::npos) << message;
}

TEST(World, AllToAllSizesMustMatchAcrossRanks) {
  const std::string message = message_of<RuntimeFailure>([] {
    run_rank_threads(2, [](World& world) {
      at::Tensor input = at::zeros({4}), output = at::zeros({world.rank() == 0 ? 4 : 5});
      world.all().all_to_all(output, input, {2, output.numel() - 2}, {2, 2});
    });
  });
  EXPECT_NE(message.find("rank 1 sends 2 elements to rank 1, which expects 3"), std::string::npos)
      << message;
}

TEST(World, MessageOfAnotherSizeIsNamed) {
  const std::string message = message_of<RuntimeFailure>([] {
    run_rank_threads(2, [](World& world) {
      if (world.rank() == 0) world.all().send(at::zeros({3}), 1, 5).wait();
      if (world.rank() == 1) world.all().receive(at::zeros({4}), 0, 5).wait();
    });
  });
  EXPECT_NE(message.find("rank 0 sent 3 Float with tag 5, but rank 1 receives 4"),
            std::string::npos)
      << message;
}

TEST(World, AMissingRankIsNamedAfterTheTimeout) {
  const std::string message = message_of<RuntimeFailure>([] {
    run_rank_threads(
        3,
        [](World& world) {
          if (world.rank() != 1) world.all().barrier();
        },
        BackendKind::kThreads, std::chrono::milliseconds(200));
  });
  EXPECT_EQ(message, "barrier on ranks 0,1,2 failed: rank 1 did not come within 200 ms");
}

class FailingRank : public testing::TestWithParam<BackendKind> {};

TEST_P(FailingRank, EndsTheOthersAndIsTheOneThatIsReported) {
  std::atomic<int> ended = 0;
  const std::string message = message_of<std::invalid_argument>([&] {
    run_rank_threads(
        4,
        [&](World& world) {
          world.create_groups({{0, 1}, {2, 3}});
          world.all().barrier();
          if (world.rank() == 3) throw std::invalid_argument("rank 3 is unhappy");
          try {
            at::Tensor tensor = at::ones({100'000});
            // Rank 2 hangs with rank 3; 0 and 1 only learn of it through rank 2.
            if (world.rank() == 2) world.group({2, 3}).all_reduce(tensor);
            world.all().all_reduce_async(tensor).wait();
          } catch (const RuntimeFailure&) {
            ++ended;
            throw;
          }
        },
        GetParam());
  });
  EXPECT_EQ(message, "rank 3 is unhappy");
  EXPECT_EQ(ended, 3);
}

INSTANTIATE_TEST_SUITE_P(Threads, FailingRank, testing::Values(BackendKind::kThreads));
INSTANTIATE_TEST_SUITE_P(Gloo, FailingRank, testing::Values(BackendKind::kGloo));

}  // namespace
}  // namespace galvatron::comm
