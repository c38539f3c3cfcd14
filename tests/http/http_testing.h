// A client for tests that may send anything.
#pragma once
#include <map>
#include <string>

namespace galvatron::http {

// Of an answer: its status (0: none came), headers in lower case, and body, joined from its chunks.
struct Heard {
  int status = 0;
  std::map<std::string, std::string> headers;
  std::string body;
};

class Talk {
 public:
  explicit Talk(int port);
  ~Talk();
  Talk(const Talk&) = delete;
  Talk& operator=(const Talk&) = delete;

  // False: the other side no longer listens.
  bool say(const std::string& bytes);
  Heard hear();
  // One more line of a chunked answer, after hear_head(); "" at its end.
  Heard hear_head();
  std::string hear_chunk();

 private:
  bool fill();
  std::string line();
  std::string take(std::size_t count);

  int socket_ = -1;
  std::string buffer_;
};

std::string get_request(int port, const std::string& path, const std::string& more = "");
std::string post_request(int port, const std::string& path, const std::string& body,
                         const std::string& more = "");

// One request on a connection of its own.
Heard ask(int port, const std::string& request);

}  // namespace galvatron::http
