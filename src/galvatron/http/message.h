// Requests and answers of HTTP/1.1 as values: what the server (http_server.h) hands to who answers.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace galvatron::http {

struct Header {
  std::string name, value;
};

struct Request {
  std::string method;  // "GET", as it was sent
  std::string path;    // of the target, not decoded; begins with '/'
  std::string query;   // behind the '?'
  std::vector<Header> headers;
  std::string body;

  // Names count without case; nullptr: there is none.
  const std::string* header(std::string_view name) const;
  int count_headers(std::string_view name) const;
  // Is `value` named in a list such as "Accept: text/html, */*;q=0.8", and not by a weight of 0?
  bool accepts(std::string_view name, std::string_view value) const;
};

// Sends a piece; false: whoever asked is gone, and no further one is wanted.
using WritePiece = std::function<bool(std::string_view piece)>;

struct Answer {
  int status = 200;
  std::vector<Header> headers;
  std::string body;
  // In the place of the body, piece by piece, on a thread of its own. Empty: the body counts.
  std::function<void(const WritePiece& write)> stream;
};

}  // namespace galvatron::http
