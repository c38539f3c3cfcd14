#include "galvatron/http/server.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "config_error.h"
#include "http/http_testing.h"

namespace galvatron::http {
namespace {

using namespace std::chrono_literals;

Answer text_answer(int status, const std::string& text) {
  Answer out;
  out.status = status;
  out.body = text;
  return out;
}

// Says back what it was asked; "/stream" counts until its reader is gone.
class Echo {
 public:
  explicit Echo(Limits limits = {})
      : server_("127.0.0.1", 0, limits,
                {.admit = [this](const Request& head) { return admit(head); },
                 .answer = [this](const Request& request) { return answer(request); },
                 .refuse = [](int status,
                              const std::string& why) { return text_answer(status, why); }}),
        thread_([this] { server_.run(/*signals=*/false); }) {}
  ~Echo() { server_.stop(); }

  int port() const { return server_.port(); }
  std::atomic<int> pieces = 0;
  std::atomic<bool> ended = false;

 private:
  static std::optional<Answer> admit(const Request& head) {
    if (head.path != "/refused") return std::nullopt;
    return text_answer(403, "no");
  }

  Answer answer(const Request& request) {
    if (request.path == "/slow") std::this_thread::sleep_for(3s);
    Answer out = text_answer(200, request.method + " " + request.path + "?" + request.query + " " +
                                      std::to_string(request.body.size()));
    if (request.path == "/stream") {
      out.stream = [this](const WritePiece& write) {
        while (write("piece\n")) {
          ++pieces;
          std::this_thread::sleep_for(10ms);
        }
        ended = true;
      };
    }
    if (request.path == "/three") {
      out.stream = [](const WritePiece& write) {
        for (const char* piece : {"one\n", "two\n", "three\n"}) write(piece);
      };
    }
    return out;
  }

  Server server_;
  std::jthread thread_;
};

TEST(Server, AnswersSeveralRequestsOfOneConnection) {
  Echo echo;
  Talk talk(echo.port());
  for (const char* path : {"/a", "/b?x=1"}) {
    talk.say(get_request(echo.port(), path));
    const Heard heard = talk.hear();
    EXPECT_EQ(heard.status, 200);
    EXPECT_TRUE(heard.body.starts_with(std::string("GET ") + path)) << heard.body;
  }
  talk.say(post_request(echo.port(), "/c", "four"));
  EXPECT_EQ(talk.hear().body, "POST /c? 4");
}

TEST(Server, HeadHasNoBody) {
  Echo echo;
  Talk talk(echo.port());
  talk.say("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n");
  const Heard head = talk.hear_head();
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-length"), "10");  // of "HEAD /a? 0"
  talk.say(get_request(echo.port(), "/next"));
  EXPECT_EQ(talk.hear().body, "GET /next? 0");
}

TEST(Server, RefusesWhatIsTooLarge) {
  Limits limits;
  limits.header_bytes = 4096;
  limits.body_bytes = 1000;
  Echo echo(limits);
  EXPECT_EQ(ask(echo.port(), post_request(echo.port(), "/a", std::string(1000, 'x'))).status, 200);
  const Heard body = ask(echo.port(), post_request(echo.port(), "/a", std::string(1001, 'x')));
  EXPECT_EQ(body.status, 413);
  EXPECT_NE(body.body.find("1000 B"), std::string::npos) << body.body;
  const std::string chunked =
      "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n" +
      std::string(0x800, 'x') + "\r\n0\r\n\r\n";
  EXPECT_EQ(ask(echo.port(), chunked).status, 413);
  const std::string header = "X: " + std::string(5000, 'x') + "\r\n";
  EXPECT_EQ(ask(echo.port(), get_request(echo.port(), "/a", header)).status, 431);
  std::string headers;
  for (int i = 0; i < 1000; ++i) headers += "X-" + std::to_string(i) + ": y\r\n";
  EXPECT_EQ(ask(echo.port(), get_request(echo.port(), "/a", headers)).status, 431);
  EXPECT_EQ(ask(echo.port(), get_request(echo.port(), "/" + std::string(5000, 'p'))).status, 431);
}

TEST(Server, RefusesWhatIsNoRequest) {
  Echo echo;
  for (const char* bytes :
       {"hello\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n", "GET / HTTP/9\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n", "GET /\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: minus\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "GET * HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n",
        "GET http://elsewhere/ HTTP/1.1\r\nHost: x\r\n\r\n"}) {
    const int status = ask(echo.port(), bytes).status;
    EXPECT_TRUE(status == 400 || status == 413) << bytes << " was answered with " << status;
  }
}

TEST(Server, RefusesByTheHeadAlone) {
  Echo echo;
  // The body is announced and never sent.
  const Heard heard =
      ask(echo.port(), "POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
  EXPECT_EQ(heard.status, 403);
  EXPECT_EQ(heard.headers.at("connection"), "close");
}

TEST(Server, WaitsForNobody) {
  Limits limits;
  limits.transfer = 1s;
  limits.answer = 1s;
  Echo echo(limits);
  const Heard late = ask(echo.port(), "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx");
  EXPECT_EQ(late.status, 408);
  EXPECT_EQ(ask(echo.port(), get_request(echo.port(), "/slow")).status, 503);
}

TEST(Server, SaysWhenTooManyAsk) {
  Limits limits;
  limits.connections = 1;
  Echo echo(limits);
  Talk first(echo.port());
  first.say(get_request(echo.port(), "/a"));
  EXPECT_EQ(first.hear().status, 200);
  EXPECT_EQ(ask(echo.port(), get_request(echo.port(), "/a")).status, 503);

  Limits busy;
  busy.workers = 1;
  busy.waiting = 0;
  Echo slow(busy);
  Talk waiting(slow.port());
  waiting.say(get_request(slow.port(), "/slow"));
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(ask(slow.port(), get_request(slow.port(), "/a")).status, 503);
  EXPECT_EQ(waiting.hear().status, 200);
}

TEST(Server, StreamsPieceByPiece) {
  Echo echo;
  Talk talk(echo.port());
  talk.say(get_request(echo.port(), "/three"));
  EXPECT_EQ(talk.hear_head().headers.at("transfer-encoding"), "chunked");
  for (const char* piece : {"one\n", "two\n", "three\n", ""}) EXPECT_EQ(talk.hear_chunk(), piece);
}

TEST(Server, StreamEndsWithItsReader) {
  Echo echo;
  {
    Talk talk(echo.port());
    talk.say(get_request(echo.port(), "/stream"));
    EXPECT_EQ(talk.hear_head().status, 200);
    EXPECT_EQ(talk.hear_chunk(), "piece\n");
  }
  for (int i = 0; i < 500 && !echo.ended; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(echo.ended);
}

TEST(Server, StopEndsStreamsAndConnections) {
  auto echo = std::make_unique<Echo>();
  Talk idle(echo->port()), talk(echo->port());
  talk.say(get_request(echo->port(), "/stream"));
  EXPECT_EQ(talk.hear_head().status, 200);
  echo.reset();
  EXPECT_EQ(idle.hear().status, 0);
}

TEST(Server, SaysWhatKeepsItFromListening) {
  Echo echo;
  const std::string sentence = config_error_of([&] { Server("127.0.0.1", echo.port(), {}, {}); });
  EXPECT_NE(sentence.find("is in use"), std::string::npos) << sentence;
  const std::string host = config_error_of([] { Server("no.such.host.invalid", 0, {}, {}); });
  EXPECT_NE(host.find("no.such.host.invalid"), std::string::npos) << host;
  EXPECT_NE(config_error_of([] { Server("192.0.2.1", 0, {}, {}); }), "");
}

}  // namespace
}  // namespace galvatron::http
