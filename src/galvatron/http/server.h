// HTTP/1.1 over Boost.Beast: connections, limits and time, and nothing about what is asked. One
// thread reads and writes; answers are made on others, so that none keeps the next one waiting.
#pragma once
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "galvatron/http/message.h"

namespace galvatron::http {

struct Limits {
  std::size_t header_bytes = std::size_t{16} << 10;  // request line included
  std::size_t body_bytes = std::size_t{16} << 20;
  int connections = 64;
  // Answers that are made at a time, and that wait for it; streams, which have threads of their
  // own.
  int workers = 2;
  int waiting = 32;
  int streams = 2;
  std::chrono::seconds idle{60};      // between two requests of a connection
  std::chrono::seconds transfer{30};  // of a head, a body, an answer or a piece of one
  std::chrono::seconds answer{600};   // to make an answer that is no stream
};

// Called from several threads at once. They throw nothing.
struct Handlers {
  // Of a head, before its body is read: an answer refuses the request.
  std::function<std::optional<Answer>(const Request& head)> admit;
  std::function<Answer(const Request& request)> answer;
  // Says why the server itself does not answer: a request that is none, or exceeds a limit.
  std::function<Answer(int status, const std::string& sentence)> refuse;
};

class Server {
 public:
  // Listens from here on. `port` 0: a free one. ConfigError for a port in use, which `option` says,
  // and for a host that is none of this machine's.
  Server(const std::string& host, int port, Limits limits, Handlers handlers,
         const std::string& option = "--port");
  ~Server();

  int port() const;
  // Answers until stop(); with `signals` also until SIGINT or SIGTERM, of which a second one ends
  // the process at once.
  void run(bool signals);
  // From any thread. Streams are told by their next piece; answers that are being made are waited
  // for.
  void stop();

 private:
  class Connections;
  std::unique_ptr<Connections> connections_;
};

}  // namespace galvatron::http
