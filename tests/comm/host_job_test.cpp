#include "galvatron/comm/host_job.h"

#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "galvatron/base/error.h"

namespace galvatron::comm {
namespace {

TEST(HostJob, EveryByteArrives) {
  HostJob job{"1.2",
              "/data/it's \"here\"\n",
              {"train", "--data", "caf\xe9 $(x) ; 'y'", ""},
              {{"HF_HOME", "a=b\n'c'"}, {"OMP_NUM_THREADS", "4"}},
              8,
              16,
              24,
              "n1",
              29500};
  const std::string message = to_message(job);
  const std::size_t newline = message.find('\n');
  EXPECT_EQ(std::stoul(message), message.size() - newline - 1);
  const HostJob read = host_job_from(message.substr(newline + 1));
  EXPECT_EQ(read.version, job.version);
  EXPECT_EQ(read.directory, job.directory);
  EXPECT_EQ(read.arguments, job.arguments);
  EXPECT_EQ(read.environment, job.environment);
  EXPECT_EQ(read.nproc, 8);
  EXPECT_EQ(read.first_rank, 16);
  EXPECT_EQ(read.world_size, 24);
  EXPECT_EQ(read.master_addr, "n1");
  EXPECT_EQ(read.master_port, 29500);
  EXPECT_THROW(host_job_from(message.substr(newline + 1, 20)), ConfigError);
  EXPECT_THROW(host_job_from("Welcome to n1"), ConfigError);
}

TEST(HostJob, SignalsComeInLines) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::string rest;
  const std::string text = signal_line(15) + "signal 1";
  ASSERT_EQ(write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  EXPECT_EQ(read_signals(ends[0], rest), std::vector<int>({15}));
  ASSERT_EQ(write(ends[1], "0\n", 2), 2);
  EXPECT_EQ(read_signals(ends[0], rest), std::vector<int>({10}));
  close(ends[1]);
  EXPECT_EQ(read_signals(ends[0], rest), std::nullopt);
  close(ends[0]);
}

TEST(HostJob, TheStoresLine) {
  EXPECT_EQ(port_of_store_line("galvatron: the store is at port 1234"), 1234);
  EXPECT_EQ(port_of_store_line("Welcome to port 1234"), 0);
  EXPECT_EQ(store_line(99), "galvatron: the store is at port 99\n");
}

}  // namespace
}  // namespace galvatron::comm
