#include "galvatron/comm/address.h"

#include <algorithm>
#include <array>
#include <regex>
#include <thread>

#include <sys/socket.h>
#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/environment_variable.h"

namespace galvatron::comm {
namespace {

constexpr int kSomePort = 9;  // where only the address counts

// "": there is no way to `host`.
std::string address_towards(const std::string& host) {
  const Resolved there = resolve(host, kSomePort);
  if (!there.addresses) return "";
  const addrinfo& address = *there.addresses;
  const int fd = socket(address.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return "";
  sockaddr_storage own{};
  socklen_t length = sizeof own;
  std::array<char, NI_MAXHOST> name{};
  const bool known = ::connect(fd, address.ai_addr, address.ai_addrlen) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
                     getnameinfo(reinterpret_cast<sockaddr*>(&own), length, name.data(),
                                 name.size(), nullptr, 0, NI_NUMERICHOST) == 0;
  close(fd);
  return known ? name.data() : "";
}

}  // namespace

Resolved resolve(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0) return {nullptr, gai_strerror(code)};
  return {std::unique_ptr<addrinfo, FreeAddresses>(found), ""};
}

std::string read_host(const std::string& text, const std::string& source) {
  static const std::regex bracketed(R"(\[([0-9A-Za-z:.%]+)\])");
  static const std::regex with_port(R"((\[[^\]]*\]|[^:\[\]]*):([0-9]+))");
  std::smatch match;
  if (std::regex_match(text, match, bracketed)) return match[1];
  if (std::regex_match(text, match, with_port)) {
    throw ConfigError("[launch] ", source, "='", text, "' holds a port: give ", match[1].str(),
                      ", and the port as MASTER_PORT");
  }
  if (text.empty() || text.find_first_of(" \t\r\n/[]@,") != std::string::npos) {
    throw ConfigError("[launch] ", source, "='", text,
                      "' is no host: give the name or the address of one machine");
  }
  return text;
}

void require_resolvable(const std::string& host, std::chrono::milliseconds patience) {
  constexpr std::chrono::milliseconds kPause{500};
  const auto until = std::chrono::steady_clock::now() + patience;
  const bool is_pod = variable_text("KUBERNETES_SERVICE_HOST").has_value();
  for (;;) {
    const std::string problem = resolve(host, kSomePort).problem;
    if (problem.empty()) return;
    if (!is_pod || std::chrono::steady_clock::now() >= until) {
      throw ConfigError("[launch] the host '", host, "' of rank 0 has no address here (", problem,
                        "): set MASTER_ADDR to a name or address that all machines know");
    }
    std::this_thread::sleep_for(kPause);
  }
}

bool is_loopback(const std::string& host) {
  static const std::regex four(R"(127\.[0-9.]+)");
  return host.empty() || host == "localhost" || host == "::1" || std::regex_match(host, four);
}

bool is_own_address(const std::string& host) {
  const Resolved there = resolve(host, kSomePort);
  if (!there.addresses) return false;
  const addrinfo& address = *there.addresses;
  const int fd = socket(address.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_storage any_port{};
  std::copy_n(reinterpret_cast<const char*>(address.ai_addr), address.ai_addrlen,
              reinterpret_cast<char*>(&any_port));
  // The port stands at one place in both families.
  reinterpret_cast<sockaddr_in*>(&any_port)->sin_port = 0;
  const bool own = bind(fd, reinterpret_cast<sockaddr*>(&any_port), address.ai_addrlen) == 0;
  close(fd);
  return own;
}

std::string reachable_address(const std::string& master) {
  // Reserved for documentation: of a route there, the address of this machine is all we ask.
  constexpr const char* kElsewhere = "192.0.2.1";
  constexpr const char* kElsewhereIPv6 = "2001:db8::1";
  const std::string facing = address_towards(master);
  if (is_loopback(master) || !is_loopback(facing)) return facing;
  for (const char* other : {kElsewhere, kElsewhereIPv6}) {
    const std::string address = address_towards(other);
    if (!is_loopback(address)) return address;
  }
  return facing;
}

}  // namespace galvatron::comm
