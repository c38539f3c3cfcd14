#include "http/http_testing.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "galvatron/base/error.h"

namespace galvatron::http {
namespace {

constexpr int kSeconds = 20;  // nothing that is tested takes so long

std::string without_end(std::string text) {
  while (!text.empty() && (text.back() == '\r' || text.back() == '\n')) text.pop_back();
  return text;
}

}  // namespace

Talk::Talk(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
  const timeval patience{kSeconds, 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(AF_INET, "127.0.0.1", &where.sin_addr);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&where), sizeof(where)) != 0) {
    throw std::runtime_error("nobody listens");
  }
}

Talk::~Talk() { close(socket_); }

bool Talk::say(const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t count = send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += static_cast<std::size_t>(count);
  }
  return true;
}

bool Talk::fill() {
  char piece[4096];
  const ssize_t count = recv(socket_, piece, sizeof(piece), 0);
  if (count <= 0) return false;
  buffer_.append(piece, static_cast<std::size_t>(count));
  return true;
}

std::string Talk::line() {
  std::size_t end = buffer_.find('\n');
  while (end == std::string::npos && fill()) end = buffer_.find('\n');
  return take(end == std::string::npos ? buffer_.size() : end + 1);
}

std::string Talk::take(std::size_t count) {
  while (buffer_.size() < count && fill()) {
  }
  std::string out = buffer_.substr(0, count);
  buffer_.erase(0, out.size());
  return out;
}

Heard Talk::hear_head() {
  Heard out;
  const std::string first = line();
  if (first.size() < 12) return out;
  out.status = std::atoi(first.substr(9, 3).c_str());
  for (std::string field = without_end(line()); !field.empty(); field = without_end(line())) {
    const std::size_t colon = std::min(field.find(": "), field.size() - 1);
    out.headers[lower_case(field.substr(0, colon))] = field.substr(colon + 2);
  }
  return out;
}

std::string Talk::hear_chunk() {
  const std::string size = without_end(line());
  const auto count = static_cast<std::size_t>(std::strtoul(size.c_str(), nullptr, 16));
  std::string out = take(count);
  line();
  return out;
}

Heard Talk::hear() {
  Heard out = hear_head();
  if (out.headers["transfer-encoding"] == "chunked") {
    for (std::string piece = hear_chunk(); !piece.empty(); piece = hear_chunk()) out.body += piece;
  } else {
    out.body = take(std::strtoul(out.headers["content-length"].c_str(), nullptr, 10));
  }
  return out;
}

std::string get_request(int port, const std::string& path, const std::string& more) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{}\r\n", path, port, more);
}

std::string post_request(int port, const std::string& path, const std::string& body,
                         const std::string& more) {
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\n{}\r\n{}",
      path, port, body.size(), more, body);
}

Heard ask(int port, const std::string& request) {
  Talk talk(port);
  talk.say(request);
  return talk.hear();
}

}  // namespace galvatron::http
