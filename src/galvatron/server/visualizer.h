// The visualizer: page and API behind one address.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "galvatron/base/option.h"
#include "galvatron/http/access.h"
#include "galvatron/http/server.h"
#include "galvatron/server/api.h"

namespace galvatron::server {

inline constexpr int kMostPort = 65535;

struct VisualizerOptions {
  std::string host = "127.0.0.1";
  int port = 0;          // 0: a free one
  double seconds = 600;  // that an answer may take
  std::vector<std::string> files;
  bool watches = false;  // they are folders of runs, which may not have begun
};
// `options` must outlive the list.
OptionList visualizer_options(VisualizerOptions& options);

class Visualizer {
 public:
  // Listens from here on. ConfigError for files that are none of ours, a port in use, a host that
  // is not this machine's.
  Visualizer(const VisualizerOptions& options, const std::string& version);

  // To open in a browser; with the token where the machine can be reached from others.
  std::string address() const { return http::address_of(access_); }
  int port() const { return access_.port; }

  void run(bool signals) { http_.run(signals); }
  void stop() { http_.stop(); }

 private:
  http::Handlers handlers();

  http::Access access_;
  Api api_;
  http::Server http_;
};

}  // namespace galvatron::server
