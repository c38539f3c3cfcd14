#include "galvatron/http/server.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <future>
#include <memory>
#include <set>
#include <utility>

#include <boost/asio.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "galvatron/base/error.h"
#include "galvatron/base/units.h"

namespace galvatron::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace beast_http = beast::http;
using tcp = asio::ip::tcp;
using boost::system::error_code;
using Task = asio::awaitable<void>;
using Parser = beast_http::request_parser<beast_http::string_body>;

constexpr int kHttp11 = 11;
constexpr std::size_t kDrainPiece = std::size_t{64} << 10;
// How long what somebody still sends is read, so that he sees why it was refused.
constexpr std::chrono::seconds kDrainTime{2};

auto into(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

Request head_of(const Parser& parser) {
  const auto& message = parser.get();
  Request out;
  out.method = std::string(message.method_string());
  const std::string target(message.target());
  const std::size_t mark = std::min(target.find('?'), target.size());
  out.path = target.substr(0, mark);
  out.query = target.substr(std::min(mark + 1, target.size()));
  for (const auto& field : message) {
    out.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  return out;
}

template <typename Body>
beast_http::response<Body> response_of(const Answer& answer, bool keep_alive) {
  beast_http::response<Body> out;
  out.version(kHttp11);
  out.result(static_cast<unsigned>(answer.status));
  for (const Header& header : answer.headers) out.insert(header.name, header.value);
  out.keep_alive(keep_alive);
  return out;
}

// What is wrong with a request that could not be read, and its status; 0: nobody is there to hear.
std::pair<int, std::string> why_unread(const error_code& error, const Limits& limits) {
  const auto size = [](std::size_t bytes) {
    return to_text(Bytes{static_cast<std::int64_t>(bytes)});
  };
  if (error == beast_http::error::header_limit || error == beast_http::error::buffer_overflow) {
    return {431, "the head of the request has more than " + size(limits.header_bytes)};
  }
  if (error == beast_http::error::body_limit) {
    return {413, "the request has more than " + size(limits.body_bytes) +
                     ": leave out what the question does not need"};
  }
  if (error == beast::error::timeout) return {408, "the request did not arrive in time"};
  if (error.category() == make_error_code(beast_http::error::bad_method).category() &&
      error != beast_http::error::end_of_stream && error != beast_http::error::partial_message) {
    return {400, "this is no HTTP/1.1 request: " + error.message()};
  }
  return {0, ""};
}

}  // namespace

// A number of places that are taken and given back.
class Places {
 public:
  explicit Places(int count) : free_(count) {}
  bool take() {
    if (free_.fetch_sub(1) > 0) return true;
    ++free_;
    return false;
  }
  void give_back() { ++free_; }

 private:
  std::atomic<int> free_;
};

// Ends reading when its time is over and leaves the connection open, so that why can be said; the
// stream's own limit closes it.
class ReadingTime {
 public:
  ReadingTime(asio::io_context& loop, beast::tcp_stream& stream, std::chrono::seconds time)
      : timer_(loop, time), is_over_(std::make_shared<bool>(false)) {
    stream.expires_never();
    timer_.async_wait([&stream, over = std::weak_ptr(is_over_)](const error_code& error) {
      const auto still_reading = over.lock();
      if (error || !still_reading) return;
      *still_reading = true;
      stream.cancel();
    });
  }
  // `error`: of reading; the timeout's where that is why it ended.
  error_code why(const error_code& error) const {
    return error && *is_over_ ? error_code(beast::error::timeout) : error;
  }

 private:
  asio::steady_timer timer_;
  std::shared_ptr<bool> is_over_;
};

class Server::Connections {
 public:
  Connections(const std::string& host, int port, Limits limits, Handlers handlers,
              const std::string& option)
      : limits_(limits),
        handlers_(std::move(handlers)),
        acceptor_(loop_),
        signals_(loop_),
        workers_(static_cast<std::size_t>(limits.workers)),
        streamers_(static_cast<std::size_t>(limits.streams)),
        waiting_(limits.workers + limits.waiting) {
    listen_at(host, port, option);
  }

  int port() const { return acceptor_.local_endpoint().port(); }

  void run(bool with_signals) {
    if (with_signals) stop_on_signals();
    asio::co_spawn(loop_, accept_all(), asio::detached);
    loop_.run();
    workers_.join();
    streamers_.join();
  }

  void stop() {
    asio::post(loop_, [this] { end(); });
  }

 private:
  using Stream = beast::tcp_stream;

  // A connection, and the request that it is reading.
  struct Connection {
    explicit Connection(tcp::socket socket) : stream(std::move(socket)) {}
    Stream stream;
    beast::flat_buffer buffer;
  };

  // An answer that is being made elsewhere.
  struct Awaited {
    explicit Awaited(asio::io_context& loop) : ready(loop) {}
    asio::steady_timer ready;
    std::optional<Answer> answer;
  };

  void listen_at(const std::string& host, int port, const std::string& option) {
    error_code error;
    const auto found = tcp::resolver(loop_).resolve(host, std::to_string(port), error);
    if (error || found.empty()) {
      throw ConfigError("--host ", host,
                        " is no name or address of this machine: ", error.message());
    }
    const tcp::endpoint where = found.begin()->endpoint();
    acceptor_.open(where.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    acceptor_.bind(where, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (!error) return;
    if (error == asio::error::address_in_use) {
      throw ConfigError(option, " ", port, " is in use: give another, or ", option,
                        " 0 for a free one");
    }
    throw ConfigError("cannot listen at ", host, " port ", port, ": ", error.message());
  }

  void stop_on_signals() {
    signals_.add(SIGINT);
    signals_.add(SIGTERM);
    signals_.async_wait([this](const error_code& error, int) {
      if (error) return;
      end();
    });
  }

  void end() {
    if (ending_) return;
    ending_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    signals_.clear(ignored);  // the next one does what it does without us
    signals_.cancel(ignored);
    for (Connection* connection : open_) connection->stream.cancel();
  }

  Task accept_all() {
    while (!ending_) {
      error_code error;
      tcp::socket socket = co_await acceptor_.async_accept(into(error));
      if (ending_) break;
      if (error) {  // out of file descriptors: they come back
        asio::steady_timer pause(loop_, std::chrono::milliseconds(100));
        co_await pause.async_wait(into(error));
        continue;
      }
      asio::co_spawn(loop_, serve(std::move(socket)), asio::detached);
    }
  }

  Task serve(tcp::socket socket) {
    Connection connection(std::move(socket));
    error_code ignored;
    connection.stream.socket().set_option(tcp::no_delay(true), ignored);
    open_.insert(&connection);
    if (static_cast<int>(open_.size()) > limits_.connections) {
      const Answer busy = handlers_.refuse(503, "too many connections: try again");
      co_await send(connection, busy, false, false);
      co_await drain(connection);
    } else {
      bool goes_on = true;
      while (goes_on && !ending_) goes_on = co_await serve_one(connection);
    }
    open_.erase(&connection);
    connection.stream.socket().shutdown(tcp::socket::shutdown_both, ignored);
  }

  // One request; false: the connection is done.
  asio::awaitable<bool> serve_one(Connection& connection) {
    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
    parser.body_limit(limits_.body_bytes);
    error_code error;
    if (connection.buffer.size() == 0) {
      connection.stream.expires_after(limits_.idle);
      const std::size_t got = co_await connection.stream.async_read_some(
          connection.buffer.prepare(kDrainPiece), into(error));
      connection.buffer.commit(got);
      if (error) co_return false;
    }
    {
      const ReadingTime time(loop_, connection.stream, limits_.transfer);
      co_await beast_http::async_read_header(connection.stream, connection.buffer, parser,
                                             into(error));
      error = time.why(error);
    }
    if (error) co_return co_await refuse_unread(connection, error);
    Request request = head_of(parser);
    std::optional<Answer> refusal = refused_by_head(parser, request);
    if (refusal) {
      const bool whole = parser.is_done();
      const bool keeps = whole && parser.keep_alive();
      co_await send(connection, *refusal, keeps, request.method == "HEAD");
      if (!whole) co_await drain(connection);
      co_return keeps;
    }
    co_await read_body(connection, parser, error);
    if (error) co_return co_await refuse_unread(connection, error);
    request.body = std::move(parser.get().body());
    co_return co_await answer(connection, request, parser.keep_alive());
  }

  std::optional<Answer> refused_by_head(const Parser& parser, const Request& request) const {
    if (parser.get().version() != kHttp11) return handlers_.refuse(400, "only HTTP/1.1 is spoken");
    if (!request.path.starts_with('/')) {
      return handlers_.refuse(400, "the target of a request begins with '/'");
    }
    return handlers_.admit(request);
  }

  Task read_body(Connection& connection, Parser& parser, error_code& error) {
    const ReadingTime time(loop_, connection.stream, limits_.transfer);
    if (beast::iequals(parser.get()[beast_http::field::expect], "100-continue")) {
      const std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
      co_await asio::async_write(connection.stream, asio::buffer(go_on), into(error));
      if (error) co_return;
    }
    co_await beast_http::async_read(connection.stream, connection.buffer, parser, into(error));
    error = time.why(error);
  }

  asio::awaitable<bool> refuse_unread(Connection& connection, const error_code& error) {
    const auto [status, sentence] = why_unread(error, limits_);
    if (status == 0) co_return false;
    const Answer refusal = handlers_.refuse(status, sentence);
    co_await send(connection, refusal, false, false);
    co_await drain(connection);
    co_return false;
  }

  asio::awaitable<bool> answer(Connection& connection, const Request& request, bool keep_alive) {
    const auto awaited = std::make_shared<Awaited>(loop_);
    if (!waiting_.take()) {
      const Answer busy = handlers_.refuse(503, "too many questions at a time: try again");
      co_return co_await send(connection, busy, keep_alive, false);
    }
    awaited->ready.expires_after(limits_.answer);
    asio::post(workers_, [this, awaited, request] {
      auto answer = std::make_shared<Answer>(handlers_.answer(request));
      waiting_.give_back();
      asio::post(loop_, [awaited, answer] {
        awaited->answer = std::move(*answer);
        awaited->ready.cancel();
      });
    });
    error_code error;
    co_await awaited->ready.async_wait(into(error));
    if (!awaited->answer) {
      awaited->answer = handlers_.refuse(503, "the answer takes too long: ask about less");
    }
    if (awaited->answer->stream) {
      co_await send_stream(connection, *awaited->answer);
      co_return false;
    }
    co_return co_await send(connection, *awaited->answer, keep_alive, request.method == "HEAD");
  }

  // Is the connection good for another request?
  asio::awaitable<bool> send(Connection& connection, const Answer& answer, bool keep_alive,
                             bool only_head) {
    auto response = response_of<beast_http::string_body>(answer, keep_alive && !ending_);
    response.body() = answer.body;
    response.prepare_payload();
    beast_http::response_serializer<beast_http::string_body> serializer(response);
    serializer.split(only_head);
    connection.stream.expires_after(limits_.transfer);
    error_code error;
    if (only_head) {
      co_await beast_http::async_write_header(connection.stream, serializer, into(error));
    } else {
      co_await beast_http::async_write(connection.stream, serializer, into(error));
    }
    co_return !error && response.keep_alive();
  }

  // Closes our side and reads on for a moment: what is closed with unread bytes is reset, and the
  // answer is lost on the way.
  Task drain(Connection& connection) {
    error_code error;
    connection.stream.socket().shutdown(tcp::socket::shutdown_send, error);
    std::string scratch(kDrainPiece, '\0');
    connection.stream.expires_after(kDrainTime);
    while (!error && !ending_) {
      co_await connection.stream.async_read_some(asio::buffer(scratch), into(error));
    }
  }

  Task send_stream(Connection& connection, Answer& answer) {
    auto response = response_of<beast_http::empty_body>(answer, false);
    response.chunked(true);
    beast_http::response_serializer<beast_http::empty_body> serializer(response);
    connection.stream.expires_after(limits_.transfer);
    error_code error;
    co_await beast_http::async_write_header(connection.stream, serializer, into(error));
    asio::steady_timer finished(loop_, asio::steady_timer::time_point::max());
    bool whole = false;
    asio::post(streamers_, [&, stream = std::move(answer.stream), gone = bool(error)]() mutable {
      stream([&](std::string_view piece) { return !gone && write_piece(connection, piece); });
      stream = nullptr;  // what it holds is free before its reader knows that it has ended
      asio::post(loop_, [&] {
        whole = true;
        finished.cancel();
      });
    });
    while (!whole) co_await finished.async_wait(into(error));
    connection.stream.expires_after(limits_.transfer);
    const auto last = beast_http::make_chunk_last();
    co_await asio::async_write(connection.stream, last, into(error));
  }

  // On a streamer's thread, which waits for it.
  bool write_piece(Connection& connection, std::string_view piece) {
    return asio::co_spawn(loop_, send_piece(connection, piece), asio::use_future).get();
  }

  asio::awaitable<bool> send_piece(Connection& connection, std::string_view piece) {
    if (ending_) co_return false;
    const auto chunk = beast_http::make_chunk(asio::const_buffer(piece.data(), piece.size()));
    connection.stream.expires_after(limits_.transfer);
    error_code error;
    co_await asio::async_write(connection.stream, chunk, into(error));
    co_return !error;
  }

  Limits limits_;
  Handlers handlers_;
  asio::io_context loop_{1};
  tcp::acceptor acceptor_;
  asio::signal_set signals_;
  asio::thread_pool workers_, streamers_;
  Places waiting_;
  std::set<Connection*> open_;  // of the loop's thread, like what follows
  bool ending_ = false;
};

Server::Server(const std::string& host, int port, Limits limits, Handlers handlers,
               const std::string& option)
    : connections_(std::make_unique<Connections>(host, port, limits, std::move(handlers), option)) {
}
Server::~Server() = default;

int Server::port() const { return connections_->port(); }
void Server::run(bool signals) { connections_->run(signals); }
void Server::stop() { connections_->stop(); }

}  // namespace galvatron::http
