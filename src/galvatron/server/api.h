// The API of visualizer/src/api/types.ts: one function for each path. It keeps nothing between two
// requests but the files that the command line named.
#pragma once
#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/server/http.h"

namespace galvatron::server {

struct ApiLimits {
  Bytes request = mebibytes(16);
  double seconds = 600;  // of a search, with all that is said of it
  int searches = 2;      // at a time
};

class Api {
 public:
  // Reads `files`: plans, profiles, clusters, configs and folders. ConfigError for one that is
  // none.
  Api(std::vector<std::filesystem::path> files, ApiLimits limits, const std::string& version);

  // Of a head: why its body need not be read. nullopt: it may be.
  std::optional<HttpAnswer> refusal(const HttpRequest& head) const;
  // Any thread, several at a time.
  HttpAnswer answer(const HttpRequest& request) const;

 private:
  struct Endpoint;
  static const std::vector<Endpoint>& endpoints();
  static const Endpoint* find(const HttpRequest& request);
  static std::string unknown_path(const std::string& path);

  HttpAnswer start(const Json&) const;
  HttpAnswer identify(const Json& request) const;
  HttpAnswer plan(const Json& request) const;
  HttpAnswer compare(const Json& request) const;
  HttpAnswer export_plan(const Json& request) const;
  HttpAnswer search(const Json& request) const;
  HttpAnswer frontier(const Json& request) const;
  HttpAnswer sweep(const Json& request) const;

  // A search's place among those at a time, for as long as it is held; nullptr: all are taken.
  std::shared_ptr<const void> take_place() const;
  // The answer of `work`, in a place; 429 without one.
  template <typename Work>
  HttpAnswer searched(Work work) const;

  std::vector<std::filesystem::path> files_;
  ApiLimits limits_;
  std::string start_;  // the body of /api/start, always the same
  mutable std::atomic<int> searching_ = 0;
};

}  // namespace galvatron::server
