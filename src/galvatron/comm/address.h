// Addresses of machines: as users and launchers write them, and as other machines can reach them.
#pragma once
#include <chrono>
#include <memory>
#include <string>

#include <netdb.h>

namespace galvatron::comm {

struct FreeAddresses {
  void operator()(addrinfo* addresses) const { freeaddrinfo(addresses); }
};

struct Resolved {
  std::unique_ptr<addrinfo, FreeAddresses> addresses;  // a list; null: there is a problem
  std::string problem;                                 // "": none
};
// To connect to.
Resolved resolve(const std::string& host, int port);

// "[::1]" -> "::1". ConfigError naming `source` for what is no host: one with a port behind it, or
// with blanks or slashes in it.
std::string read_host(const std::string& text, const std::string& source);

// ConfigError where the name has no address. In a Kubernetes pod, whose service gets its name only
// when the first pod is up, after `patience`.
void require_resolvable(const std::string& host, std::chrono::milliseconds patience);

// "localhost", "127.0.1.1", "::1"; "" too.
bool is_loopback(const std::string& host);

// True where a socket of this machine can have the address of `host`.
bool is_own_address(const std::string& host);

// The numeric address of this machine that the ranks of a job whose rank 0 is at `master` can
// reach: the one that faces `master`. Where that is a loopback address by a name of this machine
// (Debian's 127.0.1.1), the one that faces the network. Nothing is sent. "": no network is there.
std::string reachable_address(const std::string& master);

}  // namespace galvatron::comm
