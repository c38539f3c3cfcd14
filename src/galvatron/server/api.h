// The API of visualizer/src/api/types.ts: which path is answered by whom. Nothing is kept between
// two requests but the files that the command line named.
#pragma once
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/http/message.h"

namespace galvatron::server {

struct ApiLimits {
  Bytes request = mebibytes(16);
  double seconds = 600;  // of a search, with all that is said of it
  int searches = 2;      // at a time
};

class Api {
 public:
  // Reads `files`: plans, profiles, clusters, configs and folders. ConfigError for one that is
  // none. `watches`: they are folders of runs, which may not have begun.
  Api(std::vector<std::filesystem::path> files, ApiLimits limits, const std::string& version,
      bool watches = false);
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  // Of a head: why its body need not be read. nullopt: it may be.
  std::optional<http::Answer> refusal(const http::Request& head) const;
  // Any thread, several at a time.
  http::Answer answer(const http::Request& request) const;

  std::vector<std::string> paths() const;

 private:
  struct Endpoint {
    std::string method;
    std::string path;  // may end in "{id}": then what stands there is the request
    std::function<http::Answer(const Json& request)> answer;
    bool takes_files = false;  // their whole texts
  };

  void add_endpoints();
  const Endpoint* find(const std::string& path) const;
  http::Answer no_such(const std::string& path) const;

  std::string start_text(const std::string& version) const;
  OrderedJson opened(const std::filesystem::path& path) const;
  OrderedJson run_now(const std::filesystem::path& folder) const;
  http::Answer start() const;
  // Of a file of the command line, read anew.
  http::Answer run(const Json& id) const;
  // A search in one of the places that there are; 429 without one.
  http::Answer search(std::function<void(class Lines& lines)> work) const;
  std::shared_ptr<const void> take_place()
      const;  // held as long as it lives; nullptr: none is free

  std::vector<std::filesystem::path> files_;
  ApiLimits limits_;
  bool watches_;
  std::vector<Endpoint> endpoints_;
  std::string start_;  // the body of /api/start, always the same
  mutable std::atomic<int> searching_ = 0;
};

}  // namespace galvatron::server
