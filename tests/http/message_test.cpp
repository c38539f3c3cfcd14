#include "galvatron/http/message.h"

#include <gtest/gtest.h>

namespace galvatron::http {
namespace {

bool accepts_gzip(const std::string& list) {
  Request request;
  request.headers = {{"accept-encoding", list}};
  return request.accepts("Accept-Encoding", "gzip");
}

TEST(Request, AcceptsWhatAListNamesWithAWeight) {
  for (const char* list : {"gzip", "deflate, gzip;q=0.5", "br,GZIP", "gzip; q=1.0, *;q=0"}) {
    EXPECT_TRUE(accepts_gzip(list)) << list;
  }
  for (const char* list : {"", "identity", "x-gzip", "gzip;q=0", "gzip ; q=0.00", ",;q=1,", ";"}) {
    EXPECT_FALSE(accepts_gzip(list)) << list;
  }
  EXPECT_FALSE(Request().accepts("Accept-Encoding", "gzip"));
}

}  // namespace
}  // namespace galvatron::http
