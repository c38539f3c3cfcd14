#include "galvatron/server/page.h"

#include <string>

#include <fmt/format.h>

#include "galvatron/server/gunzip.h"
#include "galvatron/server/page_assets.h"

namespace galvatron::server {
namespace {

constexpr const char* kIndex = "/index.html";
// Names with a hash of what they hold.
constexpr std::string_view kHashed = "/assets/";

// Charts and the kit set styles of single elements, which cannot run anything.
constexpr const char* kContentPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

constexpr const char* kNoPage =
    "This binary was built without its page. <code>make page</code> builds the page, and "
    "<code>make build</code> then the binary with it. The API is here: "
    "<a href=\"/openapi.json\">/openapi.json</a>.";

http::Answer short_page(int status, const std::string& paragraph) {
  http::Answer out;
  out.status = status;
  out.headers = {{"Content-Type", "text/html; charset=utf-8"}, {"Cache-Control", "no-store"}};
  out.body =
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Galvatron</title><p>" +
      paragraph + "</p></html>";
  return out;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&' || c == '<' || c == '>') {
      out += fmt::format("&#{};", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::optional<http::Answer> page_answer(const http::Request& request) {
  const bool is_page = request.path == "/" || request.path == kIndex;
  const PageAsset* asset = find_asset(is_page ? kIndex : request.path);
  if (asset == nullptr) return is_page ? std::optional(short_page(200, kNoPage)) : std::nullopt;
  http::Answer out;
  const bool keeps = request.path.starts_with(kHashed);
  out.headers = {{"Content-Type", std::string(asset->content_type)},
                 {"Cache-Control", keeps ? "public, max-age=31536000, immutable" : "no-cache"}};
  // Who does not ask for gzip may not read it, as curl.
  const bool is_sent_so = !asset->is_gzip || request.accepts("Accept-Encoding", "gzip");
  if (asset->is_gzip) out.headers.push_back({"Vary", "Accept-Encoding"});
  if (asset->is_gzip && is_sent_so) out.headers.push_back({"Content-Encoding", "gzip"});
  out.body = is_sent_so ? std::string(asset->bytes) : gunzip(asset->bytes);
  return out;
}

http::Answer sentence_page(int status, const std::string& sentence) {
  return short_page(status, escaped(sentence));
}

void add_security_headers(http::Answer& answer) {
  for (const http::Header& header : {http::Header{"Content-Security-Policy", kContentPolicy},
                                     {"X-Content-Type-Options", "nosniff"},
                                     {"X-Frame-Options", "DENY"},
                                     {"Referrer-Policy", "no-referrer"},
                                     {"Cross-Origin-Opener-Policy", "same-origin"},
                                     {"Cross-Origin-Resource-Policy", "same-origin"}}) {
    answer.headers.push_back(header);
  }
}

}  // namespace galvatron::server
