#include "galvatron/comm/hostfile.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"

namespace galvatron::comm {
namespace {

std::string names_of(const std::string& text) {
  std::string out;
  for (const Host& host : parse_hostfile(text, "hosts")) {
    out += host.name + "=" + (host.slots ? std::to_string(*host.slots) : "?") + " ";
  }
  return out;
}

TEST(Hostfile, TheFormsThatOtherLaunchersRead) {
  EXPECT_EQ(names_of("n1 slots=8\nn2 slots=8\n"), "n1=8 n2=8 ");
  EXPECT_EQ(names_of("n1:4\nn2:2\n"), "n1=4 n2=2 ");
  EXPECT_EQ(names_of("# ours\n\n  n1\t# first\r\nn2 slots = 2 max_slots=4"), "n1=? n2=2 ");
  EXPECT_EQ(names_of("ddp-0.ddp.ml-dev.svc.cluster.local slots=2\n"),
            "ddp-0.ddp.ml-dev.svc.cluster.local=2 ");
  EXPECT_EQ(names_of("amd00@192.168.1.10 slots=2\nroot@192.168.1.7 slots=1\n"),
            "amd00@192.168.1.10=2 root@192.168.1.7=1 ");
}

// $PBS_NODEFILE and $LSB_DJOB_HOSTFILE name a host once for each slot.
TEST(Hostfile, AHostOfSeveralLinesHasTheSlotsOfAll) {
  EXPECT_EQ(names_of("a\na\nb\nb\na\n"), "a=3 b=2 ");
}

TEST(Hostfile, WhatIsNoHostIsRefusedWithItsLine) {
  for (const char* bad : {"n1 slots=0", "n1 slots=x", "n1 slot=2", "-oProxyCommand=x", "n1 n2",
                          "n1:0", "a;b", "$(x)", "n1 slots=99999"}) {
    try {
      parse_hostfile(std::string("n0\n") + bad, "hosts");
      FAIL() << bad;
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find("[hostfile] hosts line 2: "), std::string::npos)
          << error.what();
    }
  }
  EXPECT_THROW(parse_hostfile("# nobody\n", "hosts"), ConfigError);
  EXPECT_THROW(read_hostfile("no/such/file"), ConfigError);
}

TEST(Hostfile, RanksOfHosts) {
  const std::vector<Host> hosts = parse_hostfile("n1 slots=4\nn2 slots=2\nn3", "hosts");
  EXPECT_EQ(ranks_of_hosts(hosts, std::nullopt), (std::vector<int>{4, 2, 1}));
  EXPECT_EQ(ranks_of_hosts(hosts, 2), (std::vector<int>{2, 2, 2}));
  EXPECT_THROW(ranks_of_hosts(hosts, 3), ConfigError);
}

}  // namespace
}  // namespace galvatron::comm
