#include "galvatron/base/user_path.h"

#include <cstdlib>

#include <gtest/gtest.h>
#include <unistd.h>

#include "config_error.h"

namespace galvatron {
namespace {

namespace fs = std::filesystem;

TEST(UserPath, PutsTheHomeFolderInItsPlace) {
  const std::string before = std::getenv("HOME") ? std::getenv("HOME") : "";
  setenv("HOME", "/home/me", 1);
  EXPECT_EQ(user_path("~"), "/home/me");
  EXPECT_EQ(user_path("~/run"), "/home/me/run");
  EXPECT_EQ(user_path("./~/run"), "./~/run");
  EXPECT_EQ(user_path("~other/run"), "~other/run");
  EXPECT_EQ(user_path("run~"), "run~");
  unsetenv("HOME");
  EXPECT_EQ(user_path("~/run"), "~/run");
  setenv("HOME", before.c_str(), 1);
}

TEST(UserPath, KnowsAddressesOfFiles) {
  EXPECT_EQ(user_path("file:///data/run"), "/data/run");
  EXPECT_EQ(user_path("file://host/run"), "file://host/run");
}

TEST(UserPath, RefusesOtherAddresses) {
  for (const char* address : {"s3://bucket/run", "gs://b", "hdfs://name:9000/x", "https://x.org/y"})
    EXPECT_NE(config_error_of([&] { refuse_address(address, "--run-dir"); }).find("mount it"),
              std::string::npos)
        << address;
  for (const char* path : {"run", "C:/run", "a://b", "My run://x", "x/s3://b"})
    EXPECT_EQ(config_error_of([&] { refuse_address(path, "--run-dir"); }), "") << path;
}

TEST(UserPath, NamesWhatALinkLacks) {
  const fs::path folder =
      fs::temp_directory_path() / ("galvatron_user_path_" + std::to_string(getpid()));
  fs::create_directories(folder / "there");
  fs::create_symlink(folder / "there", folder / "whole");
  fs::create_symlink("nowhere", folder / "broken");
  EXPECT_EQ(broken_link_text(folder / "whole"), "");
  EXPECT_EQ(broken_link_text(folder / "none"), "");
  EXPECT_EQ(broken_link_text(folder / "broken"), "; it is a link to nowhere, which is not there");
  EXPECT_EQ(plain_path(folder / "whole" / ""), fs::canonical(folder / "there"));
  EXPECT_EQ(plain_path(folder / "new" / ""), fs::canonical(folder) / "new");
  fs::remove_all(folder);
}

}  // namespace
}  // namespace galvatron
