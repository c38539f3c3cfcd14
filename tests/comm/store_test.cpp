#include "galvatron/comm/store.h"

#include <future>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/life_watch.h"
#include "galvatron/comm/torch_headers.h"

#include "comm/launcher_variables.h"
#include "config_error.h"

namespace galvatron::comm {
namespace {

using std::chrono::seconds;

LaunchEnvironment rank_of(int rank, int size, int port) {
  LaunchEnvironment out;
  out.rank = rank;
  out.world_size = size;
  out.local_world_size = size;
  out.master_port = port;
  out.store_is_hosted = true;
  out.launcher = "torchrun";
  return out;
}

// The prefix under which `size` ranks meet at the store of `port`.
std::string meet_at(int port, int size) {
  std::vector<std::future<Meeting>> ranks;
  for (int rank = 0; rank < size; ++rank) {
    ranks.push_back(std::async(std::launch::async,
                               [=] { return join_store(rank_of(rank, size, port), seconds(30)); }));
  }
  std::set<std::string> prefixes;
  for (auto& rank : ranks) {
    const Meeting meeting = rank.get();
    EXPECT_EQ(meeting.hosts, std::vector<std::string>(size, host_name()));
    prefixes.insert(meeting.prefix);
  }
  EXPECT_EQ(prefixes.size(), 1);
  return *prefixes.begin();
}

// The torchrun agent restarts ranks when nodes come or go, in the same store and under the same
// number of restarts.
TEST(Store, WhatEarlierRanksLeftDoesNotCount) {
  const HostedStore hosted = host_store(0, seconds(30));
  std::set<std::string> prefixes;
  for (const int size : {2, 1, 3, 2}) prefixes.insert(meet_at(hosted.port, size));
  EXPECT_EQ(prefixes.size(), 4);
  // One that said hello and died.
  const std::string dead = "1-2-3 elsewhere";
  hosted.store->set("galvatron/attempt0/hello/1", dead);
  EXPECT_EQ(prefixes.count(meet_at(hosted.port, 2)), 0);
}

TEST(Store, BeatsAndVerdictAreThoseOfTheLastMeeting) {
  const HostedStore hosted = host_store(0, seconds(30));
  EXPECT_FALSE(find_beat(*hosted.store, 0));
  EXPECT_EQ(find_verdict(*hosted.store), "");
  meet_at(hosted.port, 2);
  ASSERT_TRUE(find_beat(*hosted.store, 1));
  EXPECT_EQ(find_beat(*hosted.store, 1)->host, host_name());
  EXPECT_FALSE(find_beat(*hosted.store, 2));
  EXPECT_EQ(find_verdict(*hosted.store), "");
}

// What the ranks of these sizes are told, by rank.
std::vector<std::string> told(int port, const std::vector<int>& sizes) {
  std::vector<std::future<std::string>> ranks;
  for (int rank = 0; rank < static_cast<int>(sizes.size()); ++rank) {
    const int size = sizes[static_cast<std::size_t>(rank)];
    ranks.push_back(std::async(std::launch::async, [=] {
      return config_error_of([&] { join_store(rank_of(rank, size, port), seconds(60)); });
    }));
  }
  std::vector<std::string> out;
  for (auto& rank : ranks) out.push_back(rank.get());
  return out;
}

TEST(Store, RanksOfDifferentWorldSizesAreAllToldAtOnce) {
  const HostedStore hosted = host_store(0, seconds(30));
  const auto started = std::chrono::steady_clock::now();
  const std::vector<std::pair<std::vector<int>, std::string>> cases = {
      {{2, 3}, "2 for rank 0 and 3 for rank 1"},
      {{3, 2}, "2 for rank 1 and 3 for rank 0"},
      {{3, 3, 4}, "3 for ranks 0,1 and 4 for rank 2"},
      {{4, 3, 5, 4}, "3 for rank 1 and 4 for ranks 0,3 and 5 for rank 2"}};
  for (const auto& [sizes, said] : cases) {
    const std::string expected = "[launch] WORLD_SIZE is " + said + ": give all ranks the same";
    EXPECT_EQ(told(hosted.port, sizes), std::vector<std::string>(sizes.size(), expected));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - started, seconds(30));
  // What was refused does not count for those who come next.
  meet_at(hosted.port, 2);
}

TEST(Store, ARankBeyondThoseThatHaveMetIsToldSo) {
  const HostedStore hosted = host_store(0, seconds(30));
  std::string prefix;
  {
    auto rank_0 = std::async(std::launch::async,
                             [&] { return join_store(rank_of(0, 2, hosted.port), seconds(30)); });
    join_store(rank_of(1, 2, hosted.port), seconds(30));
    prefix = rank_0.get().prefix;
  }
  auto late = std::async(std::launch::async, [&] {
    return config_error_of([&] { join_store(rank_of(2, 3, hosted.port), seconds(60)); });
  });
  for (int beat = 1; late.wait_for(seconds(1)) != std::future_status::ready; ++beat) {
    hosted.store->set(prefix + "/" + life_key(0),
                      beat_to_text(make_beat({}, host_name(), 0, beat)));
  }
  EXPECT_EQ(late.get(),
            "[launch] WORLD_SIZE is 2 for rank 0 and 3 for rank 2: give all ranks the same");
}

TEST(Store, ANameThatCannotBeResolvedCostsNoTime) {
  const LauncherVariables no_pod({});  // where names have time
  LaunchEnvironment environment = rank_of(1, 2, 29500);
  environment.master_addr = "no-such-host.invalid";
  const auto started = std::chrono::steady_clock::now();
  try {
    join_store(environment, seconds(60));
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("'no-such-host.invalid' of rank 0 has no address"),
              std::string::npos)
        << error.what();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - started, seconds(30));
}

}  // namespace
}  // namespace galvatron::comm
