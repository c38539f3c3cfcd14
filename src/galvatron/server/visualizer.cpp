#include "galvatron/server/visualizer.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "galvatron/server/failure.h"
#include "galvatron/server/page.h"

namespace galvatron::server {
namespace {

int num_cores() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

ApiLimits api_limits(const VisualizerOptions& options) {
  return {.seconds = options.seconds, .searches = num_cores()};
}

http::Limits http_limits(const VisualizerOptions& options) {
  const ApiLimits api = api_limits(options);
  http::Limits out;
  out.body_bytes = static_cast<std::size_t>(api.request.value);
  out.workers = std::max(2, num_cores());
  out.streams = api.searches;
  out.answer = std::chrono::seconds(static_cast<std::int64_t>(options.seconds) + 1);
  return out;
}

std::vector<std::filesystem::path> files_of(const VisualizerOptions& options) {
  // Before anything is written: tables are not broken at the width of the server's own terminal.
  setenv("COLUMNS", "1000", /*overwrite=*/1);
  return {options.files.begin(), options.files.end()};
}

http::Answer secured(http::Answer answer) {
  add_security_headers(answer);
  return answer;
}

}  // namespace

OptionList visualizer_options(VisualizerOptions& options) {
  OptionList list;
  list.group("Input");
  list.texts("files", options.files,
             "Plans, profiles, clusters, config.json files and folders of runs to open", "FILE")
      .positional();
  list.group("Server");
  list.text("host", options.host,
            "Name or address to listen at; beyond this machine a token is asked for", "HOST");
  list.count("port", options.port, {0, kMostPort}, "0: a free one");
  list.number("time-limit", options.seconds, {.min = 1, .max = 86400},
              "Seconds that a search may take");
  return list;
}

Visualizer::Visualizer(const VisualizerOptions& options, const std::string& version)
    : access_{options.host, 0, http::is_local_host(options.host) ? "" : http::make_token()},
      api_(files_of(options), api_limits(options), version, options.watches),
      http_(options.host, options.port, http_limits(options), handlers()) {
  access_.port = http_.port();
}

http::Handlers Visualizer::handlers() {
  http::Handlers out;
  out.admit = [this](const http::Request& head) -> std::optional<http::Answer> {
    if (const auto refusal = refused(access_, head)) {
      const bool is_person = head.accepts("Accept", "text/html");
      return secured(is_person ? sentence_page(refusal->status, refusal->sentence)
                               : failure_answer(refusal->status, refusal->sentence));
    }
    if (const auto welcome = welcomed(access_, head)) return secured(*welcome);
    auto refusal = api_.refusal(head);
    if (refusal) add_security_headers(*refusal);
    return refusal;
  };
  out.answer = [this](const http::Request& request) { return secured(api_.answer(request)); };
  out.refuse = [](int status, const std::string& sentence) {
    return secured(failure_answer(status, sentence));
  };
  return out;
}

}  // namespace galvatron::server
