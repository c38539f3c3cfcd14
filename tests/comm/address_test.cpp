#include "galvatron/comm/address.h"

#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/launch.h"

#include "comm/launcher_variables.h"

namespace galvatron::comm {
namespace {

TEST(Address, HostsAsPeopleWriteThem) {
  for (const char* host : {"n1", "gpu-07.cluster.local", "10.0.0.4", "::1", "fe80::1%eth0"}) {
    EXPECT_EQ(read_host(host, "MASTER_ADDR"), host);
  }
  EXPECT_EQ(read_host("[::1]", "MASTER_ADDR"), "::1");
  EXPECT_EQ(read_host("[fe80::1%eth0]", "MASTER_ADDR"), "fe80::1%eth0");
  for (const char* bad : {"n1:29500", "[::1]:29500", "http://n1", "a b", "[::1", ""}) {
    EXPECT_THROW(read_host(bad, "MASTER_ADDR"), ConfigError) << bad;
  }
}

TEST(Address, Loopback) {
  for (const char* host : {"localhost", "127.0.0.1", "127.0.1.1", "::1", ""}) {
    EXPECT_TRUE(is_loopback(host)) << host;
  }
  for (const char* host : {"10.0.0.1", "n127", "127host"}) EXPECT_FALSE(is_loopback(host)) << host;
}

TEST(Address, Own) {
  EXPECT_TRUE(is_own_address("127.0.0.2"));
  EXPECT_TRUE(is_own_address("localhost"));
  EXPECT_FALSE(is_own_address("203.0.113.9"));  // of documentation
}

TEST(Address, ANameWithoutAddressIsSaidAtOnce) {
  const LauncherVariables none({});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_NO_THROW(require_resolvable("127.0.0.1", std::chrono::seconds(0)));
  EXPECT_THROW(require_resolvable("no-such-host.invalid", std::chrono::minutes(30)), ConfigError);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

// The name of a pod's service comes when the pod is up.
TEST(Address, InAPodANameHasTime) {
  const LauncherVariables pod(Variables{{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THROW(require_resolvable("no-such-host.invalid", std::chrono::seconds(1)), ConfigError);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
}

TEST(Address, ReachableIsOneOfThisMachine) {
  EXPECT_EQ(reachable_address("127.0.0.1"), "127.0.0.1");
  const std::string facing = reachable_address("203.0.113.9");
  EXPECT_TRUE(facing.empty() || is_own_address(facing)) << facing;
}

// A host name often stands for 127.0.1.1 on its own machine, where no other rank would find it.
TEST(Address, ByItsNameAMachineWithANetworkIsNotLoopback) {
  const std::string outward = reachable_address("203.0.113.9");
  if (is_loopback(outward)) GTEST_SKIP() << "this machine has no network";
  EXPECT_FALSE(is_loopback(reachable_address(host_name())));
  EXPECT_TRUE(is_own_address(reachable_address(host_name())));
}

}  // namespace
}  // namespace galvatron::comm
