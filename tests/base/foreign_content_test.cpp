#include "galvatron/base/foreign_content.h"

#include <gtest/gtest.h>

namespace galvatron {
namespace {

TEST(ForeignContent, KnowsFilesThatAreNotWhatTheirNamesSay) {
  using namespace std::string_view_literals;
  const std::pair<std::string_view, const char*> known[] = {
      {"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"},
      {"<!DOCTYPE html><html>", "web page"},
      {"<html><head>", "web page"},
      {"PK\x03\x04\x00\x00\x08\x08"sv, "torch.save()"},
      {"\x80\x02}q\x00"sv, "torch.save()"},
      {"\xff\xfe{\x00"sv, "iconv"},
      {"GGUF\x03\x00\x00\x00"sv, "GGUF"},
      {"\x1f\x8b\x08"sv, "gunzip"}};
  for (const auto& [begin, word] : known)
    EXPECT_NE(foreign_content(begin).find(word), std::string::npos) << begin;
  for (const std::string_view begin : {"{\"a\": 1}"sv, ""sv, "P"sv, "\x10\x00\x00\x00"sv})
    EXPECT_EQ(foreign_content(begin), "") << begin;
}

}  // namespace
}  // namespace galvatron
