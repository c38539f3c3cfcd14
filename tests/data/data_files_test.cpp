#include "galvatron/data/data_files.h"

#include <gtest/gtest.h>

#include "config_error.h"
#include "data/token_file.h"

namespace galvatron::data {
namespace {

class DataFiles : public testing::Test {
 protected:
  std::string refusal(const std::string& prefix) {
    return config_error_of([&] { require_data_files(prefix, {".bin", ".idx"}); });
  }
  std::string put(const std::string& name) {
    write_bytes(folder_ / name, "x");
    return folder_ / name;
  }
  std::string sentence(const std::string& prefix, const std::string& end) {
    return "[data] --data is the PREFIX of PREFIX.bin and PREFIX.idx; '" + prefix + "' " + end;
  }
  TemporaryFolder folder_;
};

TEST_F(DataFiles, ThatAreThereAreFine) {
  put("books.bin");
  put("books.idx");
  require_data_files(folder_ / "books", {".bin", ".idx"});
}

TEST_F(DataFiles, OfTheOneTheOtherIsFound) {
  const std::string file = put("books.bin");
  put("books.idx");
  EXPECT_EQ(refusal(file),
            sentence(file, "is one of two files; give their prefix, " + (folder_ / "books")));
}

TEST_F(DataFiles, OfAFolderAreNamed) {
  const std::string folder = folder_ / "";
  EXPECT_EQ(refusal(folder), sentence(folder, "is a folder that holds none of them"));
  for (const char* name : {"b.bin", "b.idx", "a.idx", "a.bin", "half.bin"}) put(name);
  EXPECT_EQ(refusal(folder),
            sentence(folder, "is a folder; give " + (folder_ / "a") + " or " + (folder_ / "b")));
}

TEST_F(DataFiles, OfWhichOneIsMissing) {
  put("half.bin");
  const std::string prefix = folder_ / "half";
  EXPECT_EQ(refusal(prefix), sentence(prefix, "has " + prefix + ".bin, but " + prefix +
                                                  ".idx is missing beside it"));
}

TEST_F(DataFiles, ThatAreNowhere) {
  const std::string prefix = folder_ / "none";
  EXPECT_EQ(refusal(prefix),
            sentence(prefix, "stands for " + prefix + ".bin and " + prefix +
                                 ".idx, which are not there; galvatron-data makes them"));
}

}  // namespace
}  // namespace galvatron::data
