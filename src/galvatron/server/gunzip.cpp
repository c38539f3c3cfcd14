#include "galvatron/server/gunzip.h"

#include <boost/beast/zlib/inflate_stream.hpp>

#include "galvatron/base/error.h"

namespace galvatron::server {
namespace {

namespace zlib = boost::beast::zlib;

// RFC 1952: ten bytes in front where no flag adds to them; behind, four of a checksum and the
// length, lowest byte first.
constexpr std::size_t kHead = 10, kTail = 8, kFlags = 3, kLength = 4;

std::size_t length_of(std::string_view member) {
  std::size_t out = 0;
  for (std::size_t i = 0; i < kLength; ++i) {
    const auto byte = static_cast<unsigned char>(member[member.size() - kLength + i]);
    out |= std::size_t{byte} << (8 * i);
  }
  return out;
}

}  // namespace

std::string gunzip(std::string_view member) {
  GALV_CHECK(member.size() > kHead + kTail && member[kFlags] == 0, "no plain gzip member");
  std::string out(length_of(member), '\0');
  const std::string_view deflated = member.substr(kHead, member.size() - kHead - kTail);
  zlib::z_params at;
  at.next_in = deflated.data();
  at.avail_in = deflated.size();
  at.next_out = out.data();
  at.avail_out = out.size();
  zlib::inflate_stream stream;
  boost::system::error_code error;
  stream.write(at, zlib::Flush::finish, error);
  GALV_CHECK(error == zlib::error::end_of_stream && at.avail_out == 0, error.message());
  return out;
}

}  // namespace galvatron::server
