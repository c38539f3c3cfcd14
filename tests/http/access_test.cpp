#include "galvatron/http/access.h"

#include <gtest/gtest.h>

namespace galvatron::http {
namespace {

Request request_with(std::vector<Header> headers) {
  Request out;
  out.method = "GET";
  out.path = "/";
  out.headers = std::move(headers);
  return out;
}

int refused_status(const Access& access, std::vector<Header> headers) {
  const auto refusal = refused(access, request_with(std::move(headers)));
  return refusal ? refusal->status : 0;
}

TEST(Access, OnlyOurOwnNames) {
  const Access access{"127.0.0.1", 8000, ""};
  for (const char* host : {"127.0.0.1:8000", "localhost:8000", "LOCALHOST:8000", "[::1]:8000"}) {
    EXPECT_EQ(refused_status(access, {{"Host", host}}), 0) << host;
  }
  for (const char* host :
       {"evil.example:8000", "127.0.0.1", "127.0.0.1:8001", "", "localhost:80000",
        "localhost.evil.example:8000", "127.0.0.1:8000, evil.example"}) {
    EXPECT_EQ(refused_status(access, {{"Host", host}}), 403) << host;
  }
  EXPECT_EQ(refused_status(access, {}), 403);
  EXPECT_EQ(refused_status(access, {{"Host", "localhost:8000"}, {"Host", "localhost:8000"}}), 403);
}

TEST(Access, OnlyOurOwnPage) {
  const Access access{"127.0.0.1", 8000, ""};
  const auto from = [&](const char* origin) {
    return refused_status(access, {{"Host", "localhost:8000"}, {"Origin", origin}});
  };
  EXPECT_EQ(from("http://localhost:8000"), 0);
  for (const char* origin : {"http://localhost:8001", "https://localhost:8000", "null", "",
                             "http://evil.example", "http://127.0.0.1:8000"}) {
    EXPECT_EQ(from(origin), 403) << origin;
  }
}

TEST(Access, TokenFromOtherMachines) {
  const Access access{"0.0.0.0", 8000, make_token()};
  EXPECT_EQ(access.token.size(), 32U);
  EXPECT_NE(access.token, make_token());
  const Header host{"Host", "machine.example:8000"};
  EXPECT_EQ(refused_status(access, {host}), 401);
  EXPECT_EQ(refused_status(access, {host, {"Authorization", "Bearer " + access.token}}), 0);
  EXPECT_EQ(refused_status(access, {host, {"Authorization", "Bearer x" + access.token}}), 401);
  EXPECT_EQ(refused_status(access, {host, {"Authorization", access.token}}), 401);
  const std::string cookie = "galvatron_8000=" + access.token;
  EXPECT_EQ(refused_status(access, {host, {"Cookie", "a=b; " + cookie}}), 0);
  EXPECT_EQ(refused_status(access, {host, {"Cookie", cookie + "0"}}), 401);
  EXPECT_EQ(refused_status(access, {host, {"Cookie", "galvatron_8000="}}), 401);
}

TEST(Access, TheGivenAddressBringsTheToken) {
  const Access access{"0.0.0.0", 8000, "0123456789abcdef"};
  const std::string address = address_of(access);
  EXPECT_TRUE(address.ends_with(":8000/?token=0123456789abcdef")) << address;
  // Of another machine that would be its own.
  for (const char* here : {"0.0.0.0", "127.", "::"}) {
    EXPECT_EQ(address.find(std::string("http://") + here), std::string::npos) << address;
  }
  Request request = request_with({{"Host", "machine.example:8000"}});
  request.query = "token=0123456789abcdef";
  EXPECT_FALSE(refused(access, request));
  const auto answer = welcomed(access, request);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 303);
  EXPECT_NE(answer->headers[1].value.find("HttpOnly; SameSite=Strict"), std::string::npos);
  request.query = "token=0123456789abcdeg";
  EXPECT_TRUE(refused(access, request));
  EXPECT_FALSE(welcomed(access, request));
  request.path = "/api/start";
  request.query = "token=0123456789abcdef";
  EXPECT_TRUE(refused(access, request));
}

TEST(Access, AddressOfThisMachine) {
  EXPECT_EQ(address_of({"127.0.0.1", 8000, ""}), "http://127.0.0.1:8000/");
  EXPECT_EQ(address_of({"::1", 8000, ""}), "http://[::1]:8000/");
  for (const char* host : {"localhost", "127.0.0.1", "::1", "[::1]"}) {
    EXPECT_TRUE(is_local_host(host));
  }
  for (const char* host : {"0.0.0.0", "::", "machine.example", "127.0.0.1.evil.example"}) {
    EXPECT_FALSE(is_local_host(host));
  }
}

}  // namespace
}  // namespace galvatron::http
