#include "galvatron/http/access.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/base/option.h"

namespace galvatron::http {
namespace {

constexpr std::string_view kTokenKey = "token=";

bool is_any_address(const std::string& host) {
  return host == "0.0.0.0" || host == "::" || host == "[::]";
}

std::string in_brackets(const std::string& host) {
  const bool is_v6 = host.find(':') != std::string::npos && !host.starts_with('[');
  return is_v6 ? "[" + host + "]" : host;
}

// Of this machine's network, of the family that it listens at; "": there is none.
std::string outward_address(bool takes_v6) {
  std::string out;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return out;
  for (const ifaddrs* one = all; one != nullptr && out.empty(); one = one->ifa_next) {
    constexpr unsigned kUp = IFF_UP | IFF_RUNNING;
    if (one->ifa_addr == nullptr || (one->ifa_flags & kUp) != kUp) continue;
    if ((one->ifa_flags & IFF_LOOPBACK) != 0) continue;
    const int family = one->ifa_addr->sa_family;
    if (family != AF_INET && !(takes_v6 && family == AF_INET6)) continue;
    const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    std::array<char, NI_MAXHOST> name{};
    if (getnameinfo(one->ifa_addr, size, name.data(), name.size(), nullptr, 0, NI_NUMERICHOST) ==
        0) {
      out = name.data();
    }
  }
  freeifaddrs(all);
  return out;
}

// Where others find a server at `host`.
std::string reached_at(const std::string& host) {
  if (!is_any_address(host)) return host;
  const std::string address = outward_address(host != "0.0.0.0");
  if (!address.empty()) return address;
  std::array<char, NI_MAXHOST> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

// Browsers leave port 80 away.
std::vector<std::string> with_port(const std::string& host, int port) {
  std::vector<std::string> out = {fmt::format("{}:{}", host, port)};
  if (port == 80) out.push_back(host);
  return out;
}

bool knows_host(const Access& access, const std::string& given) {
  const std::string host = lower_case(given);
  if (is_any_address(access.host)) return true;  // it has many names: the token decides
  std::vector<std::string> names = {in_brackets(lower_case(access.host))};
  if (is_local_host(access.host)) {
    for (const char* name : {"localhost", "127.0.0.1", "[::1]"}) names.push_back(name);
  }
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    const std::vector<std::string> known = with_port(name, access.port);
    return std::find(known.begin(), known.end(), host) != known.end();
  });
}

// Takes as long whatever the first difference is.
bool same_secret(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  }
  return difference == 0;
}

// Cookies are of a host, whatever the port.
std::string cookie_name(const Access& access) { return fmt::format("galvatron_{}", access.port); }

bool has_token(const Access& access, const Request& request) {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string* authorization = request.header("Authorization");
  if (authorization != nullptr && authorization->starts_with(kBearer) &&
      same_secret(std::string_view(*authorization).substr(kBearer.size()), access.token)) {
    return true;
  }
  const std::string* cookies = request.header("Cookie");
  if (cookies == nullptr) return false;
  const std::string key = cookie_name(access) + "=";
  for (std::string part : split_list(*cookies, ';')) {
    part.erase(0, std::min(part.find_first_not_of(' '), part.size()));
    if (part.starts_with(key) &&
        same_secret(std::string_view(part).substr(key.size()), access.token)) {
      return true;
    }
  }
  return false;
}

bool brings_token(const Access& access, const Request& request) {
  return !access.token.empty() && request.method == "GET" && request.path == "/" &&
         request.query.starts_with(kTokenKey) &&
         same_secret(std::string_view(request.query).substr(kTokenKey.size()), access.token);
}

}  // namespace

bool is_local_host(const std::string& host) {
  const std::string name = lower_case(host);
  return name == "localhost" || name == "127.0.0.1" || name == "::1" || name == "[::1]";
}

std::string address_of(const Access& access) {
  return fmt::format("http://{}:{}/{}", in_brackets(reached_at(access.host)), access.port,
                     access.token.empty() ? "" : "?" + std::string(kTokenKey) + access.token);
}

std::string make_token() {
  std::random_device random;  // the kernel's
  std::string out;
  for (int i = 0; i < 4; ++i) out += fmt::format("{:08x}", static_cast<std::uint32_t>(random()));
  return out;
}

std::optional<Refusal> refused(const Access& access, const Request& request) {
  const std::string* host = request.header("Host");
  if (host == nullptr || request.count_headers("Host") > 1 || !knows_host(access, *host)) {
    return Refusal{403, fmt::format("the request is for another host than {}:{}",
                                    in_brackets(access.host), access.port)};
  }
  const std::string* origin = request.header("Origin");
  const bool is_ours = origin == nullptr || (request.count_headers("Origin") == 1 &&
                                             lower_case(*origin) == "http://" + lower_case(*host));
  if (!is_ours) return Refusal{403, "the request comes from a page of another site"};
  if (access.token.empty() || has_token(access, request) || brings_token(access, request)) {
    return std::nullopt;
  }
  return Refusal{401,
                 "the token is missing or another: open the address that `galvatron "
                 "visualize` printed"};
}

std::optional<Answer> welcomed(const Access& access, const Request& request) {
  if (!brings_token(access, request)) return std::nullopt;
  Answer out;
  out.status = 303;
  out.headers = {{"Location", "/"},
                 {"Set-Cookie", fmt::format("{}={}; HttpOnly; SameSite=Strict; Path=/",
                                            cookie_name(access), access.token)}};
  return out;
}

}  // namespace galvatron::http
