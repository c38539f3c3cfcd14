#include "galvatron/train/metrics_server.h"

#include <cmath>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "galvatron/http/access.h"
#include "galvatron/http/server.h"

namespace galvatron::train {
namespace {

constexpr const char* kHost = "127.0.0.1";
constexpr const char* kPath = "/metrics";
constexpr const char* kTextFormat = "text/plain; version=0.0.4; charset=utf-8";

std::string sample_value(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

std::string label_value(const std::string& text) {
  std::string out;
  for (const char letter : text) {
    if (letter == '\n') {
      out += "\\n";
      continue;
    }
    if (letter == '"' || letter == '\\') out += '\\';
    out += letter;
  }
  return out;
}

// Names of one step's amounts stay apart from the counters of all.
std::string gauge_name(const std::string& column) {
  const bool is_amount = column == "tokens" || column == "seconds";
  return (is_amount ? "galvatron_step_" : "galvatron_") + column;
}

void add_figure(std::string& out, const std::string& name, const char* type,
                const std::string& help, const std::string& value, const std::string& labels = "") {
  out +=
      fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0}{3} {4}\n", name, help, type, labels, value);
}

http::Answer sentence_answer(int status, const std::string& sentence) {
  http::Answer out;
  out.status = status;
  out.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
  out.body = sentence + "\n";
  return out;
}

http::Limits metrics_limits() {
  http::Limits out;
  out.body_bytes = 1;
  out.connections = 16;
  out.workers = 1;
  out.streams = 1;
  return out;
}

}  // namespace

RunFigures::RunFigures(RunFacts facts) : facts_(std::move(facts)), last_(metric_columns().size()) {}

void RunFigures::add(const StepRecord& record) {
  for (std::size_t i = 0; i < last_.size(); ++i) {
    const MetricColumn& column = metric_columns()[i];
    const auto value = column.is_number ? column.value(record) : std::nullopt;
    if (value) last_[i] = value->get<double>();
  }
  ++steps_;
  if (record.skipped) ++skipped_;
  tokens_ += record.tokens;
  images_ += record.images.value_or(0);
  seconds_ += record.seconds;
}

std::string RunFigures::exposition() const {
  std::string out;
  add_figure(
      out, "galvatron_run_info", "gauge", "What is trained; always 1", "1",
      fmt::format(R"({{run="{}",model="{}",precision="{}",device="{}",world_size="{}"}})",
                  label_value(facts_.run), label_value(facts_.model), label_value(facts_.precision),
                  label_value(facts_.device), facts_.world_size));
  add_figure(out, "galvatron_target_steps", "gauge", "Steps of the whole run",
             fmt::format("{}", facts_.num_steps));
  for (std::size_t i = 0; i < last_.size(); ++i) {
    const MetricColumn& column = metric_columns()[i];
    if (last_[i])
      add_figure(out, gauge_name(column.name), "gauge", column.help, sample_value(*last_[i]));
  }
  const auto add_counter = [&](const char* name, const char* help, double value) {
    add_figure(out, name, "counter", std::string(help) + ", since this process began",
               sample_value(value));
  };
  add_counter("galvatron_steps_total", "Steps done", static_cast<double>(steps_));
  add_counter("galvatron_skipped_steps_total", "Steps left out", static_cast<double>(skipped_));
  add_counter("galvatron_tokens_total", "Tokens of all ranks", static_cast<double>(tokens_));
  if (images_ > 0)
    add_counter("galvatron_images_total", "Images of all ranks", static_cast<double>(images_));
  add_counter("galvatron_training_seconds_total", "Seconds in steps", seconds_);
  return out;
}

class MetricsServer::State {
 public:
  State(int port, RunFacts facts)
      : figures_(std::move(facts)),
        server_(kHost, port, metrics_limits(), handlers(), "--metrics-port"),
        access_{kHost, server_.port(), ""},
        thread_([this] { server_.run(/*signals=*/false); }) {}
  ~State() { server_.stop(); }

  int port() const { return access_.port; }
  void tell(const StepRecord& record) {
    const std::lock_guard lock(mutex_);
    figures_.add(record);
  }

 private:
  http::Handlers handlers() {
    return {.admit = [this](const http::Request& head) { return refusal(head); },
            .answer = [this](const http::Request&) { return exposition(); },
            .refuse = sentence_answer};
  }

  std::optional<http::Answer> refusal(const http::Request& head) const {
    if (const auto refusal = http::refused(access_, head))
      return sentence_answer(refusal->status, refusal->sentence);
    if (head.path != kPath)
      return sentence_answer(404, fmt::format("the figures are at {}", kPath));
    if (head.method == "GET" || head.method == "HEAD") return std::nullopt;
    return sentence_answer(405, fmt::format("{} is asked by GET", kPath));
  }

  http::Answer exposition() {
    http::Answer out;
    out.headers = {{"Content-Type", kTextFormat}};
    const std::lock_guard lock(mutex_);
    out.body = figures_.exposition();
    return out;
  }

  std::mutex mutex_;
  RunFigures figures_;
  http::Server server_;
  http::Access access_;
  std::jthread thread_;  // the last member: it ends before what it uses
};

MetricsServer::MetricsServer(int port, RunFacts facts)
    : state_(std::make_unique<State>(port, std::move(facts))) {}
MetricsServer::~MetricsServer() = default;

std::string MetricsServer::address() const {
  return fmt::format("http://{}:{}{}", kHost, state_->port(), kPath);
}

void MetricsServer::tell(const StepRecord& record) { state_->tell(record); }

}  // namespace galvatron::train
