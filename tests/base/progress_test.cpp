#include "galvatron/base/progress.h"

#include <array>
#include <cstdio>

#include <gtest/gtest.h>

namespace galvatron {
namespace {

std::string content_of(std::FILE* file) {
  std::rewind(file);
  std::array<char, 4096> buffer{};
  return {buffer.data(), std::fread(buffer.data(), 1, buffer.size(), file)};
}

TEST(ProgressBar, WritesPlainLinesWhenPiped) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    ProgressBar bar("train", 2, file);
    bar.update(1, "loss 4.21");
    bar.update(2, "loss 4.20");
    bar.finish();
    bar.finish();
  }
  const std::string text = content_of(file);
  std::fclose(file);
  EXPECT_EQ(text.find('\r'), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
  EXPECT_NE(text.find("train 2/2  loss 4.20"), std::string::npos) << text;
  EXPECT_EQ(text.find("2/2"), text.rfind("2/2")) << "the last state is drawn once: " << text;
}

TEST(ProgressBar, NotesStandOnLinesOfTheirOwn) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    ProgressBar bar("train", 2, file);
    bar.note("going on from step 1");
    bar.update(2, "loss 4.20");
  }
  const std::string text = content_of(file);
  std::fclose(file);
  EXPECT_TRUE(text.starts_with("going on from step 1\ntrain 2/2")) << text;
}

TEST(ProgressBar, OfNothingDrawsNothing) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    ProgressBar bar("empty", 0, file);
  }
  EXPECT_EQ(content_of(file), "");
  std::fclose(file);
}

TEST(NowSeconds, NeverGoesBack) {
  const double first = now_seconds();
  EXPECT_GE(now_seconds(), first);
}

}  // namespace
}  // namespace galvatron
