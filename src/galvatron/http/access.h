// Who may ask. A page of another site runs in the same browser as ours: it must not reach us under
// a name of its own (Host, DNS rebinding), nor ask in the user's place (Origin, Content-Type).
#pragma once
#include <optional>
#include <string>

#include "galvatron/http/message.h"

namespace galvatron::http {

struct Access {
  std::string host = "127.0.0.1";  // that the server listens at
  int port = 0;
  // Wanted of every request in a cookie or as "Authorization: Bearer"; empty: nothing is, since
  // only this machine reaches us.
  std::string token;
};

// Is it this machine's own name or address, which nobody else reaches?
bool is_local_host(const std::string& host);

// "http://127.0.0.1:8000/", with "?token=..." where one is wanted. Of a server that listens at all
// of its addresses one that other machines reach.
std::string address_of(const Access& access);

// 128 random bits in hex.
std::string make_token();

struct Refusal {
  int status;
  std::string sentence;
};
// nullopt: the request may be answered.
std::optional<Refusal> refused(const Access& access, const Request& request);

// What answers the address that the user was given: it keeps the token as a cookie, and the address
// that the browser shows is without it. nullopt: the request is another.
std::optional<Answer> welcomed(const Access& access, const Request& request);

}  // namespace galvatron::http
