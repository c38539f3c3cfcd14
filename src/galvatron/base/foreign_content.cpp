#include "galvatron/base/foreign_content.h"

#include <array>

#include "galvatron/base/error.h"

namespace galvatron {
namespace {

struct Content {
  std::string_view begin;  // in lower case
  std::string_view what;
};

constexpr std::string_view kPage =
    "a web page, not the file: fetch it anew, with what logs you in (a token)";
constexpr std::string_view kPickle =
    "what torch.save() writes: save it with save_pretrained(..., safe_serialization=True)";
constexpr std::string_view kUtf16 = "UTF-16: make UTF-8 of it with iconv -f UTF-16 -t UTF-8";

constexpr std::array kContents = {
    Content{"version https://git-lfs",
            "a pointer of Git LFS, not the file: fetch it with git lfs pull"},
    Content{"<!doctype", kPage},
    Content{"<html", kPage},
    Content{"<?xml", kPage},
    Content{"pk\x03\x04", kPickle},
    Content{"\x80\x02", kPickle},
    Content{"\xff\xfe", kUtf16},
    Content{"\xfe\xff", kUtf16},
    Content{"gguf", "a GGUF file: get the weights that it was made of"},
    Content{"\x89hdf",
            "an HDF5 file of TensorFlow: convert it with from_pretrained(..., "
            "from_tf=True) and save_pretrained()"},
    Content{"\x1f\x8b", "compressed: unpack it with gunzip"}};

}  // namespace

std::string foreign_content(std::string_view begin) {
  constexpr std::size_t kLongest = 32;
  const std::string plain = lower_case(begin.substr(0, kLongest));
  for (const Content& content : kContents) {
    if (plain.starts_with(content.begin)) return std::string(content.what);
  }
  return "";
}

}  // namespace galvatron
