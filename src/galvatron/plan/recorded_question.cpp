#include "galvatron/plan/recorded_question.h"

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "galvatron/base/error.h"

namespace galvatron::plan {
namespace {

constexpr const char* kQuestion = "question";
constexpr const char* kDigest = "plan_digest";

std::optional<std::string> recorded_digest(const Plan& plan) {
  const OrderedJson& search = plan.search;
  if (!search.is_object() || !search.contains(kDigest) || !search[kDigest].is_string()) {
    return std::nullopt;
  }
  return search[kDigest].get<std::string>();
}

// One of the two may be counted in data, and the other given by hand.
bool attend_alike(const spec::JobSpec& a, const spec::JobSpec& b) {
  constexpr double kMostApart = 0.05;
  return std::abs(spec::attended_share(a) - spec::attended_share(b)) <= kMostApart;
}

std::int64_t attended_tokens(const spec::JobSpec& job) {
  return job.attended_length == 0 ? job.seq_length : job.attended_length;
}

}  // namespace

std::string plan_digest(const Plan& plan) {
  OrderedJson json = plan_to_json(plan);
  json.erase("search");
  return text_checksum(json.dump());
}

void record_question(Plan& plan, const spec::JobSpec& job) {
  OrderedJson& question = plan.search[kQuestion];
  question["seq_length"] = job.seq_length;
  question["global_batch"] = job.global_batch;
  question["precision"] = spec::to_text(job.precision);
  question["optimizer"] = job.optimizer->name;
  if (job.attended_length > 0) question["attended_length"] = job.attended_length;
  plan.search[kDigest] = plan_digest(plan);
}

std::optional<spec::JobSpec> recorded_question(const Plan& plan) {
  if (!plan.search.is_object() || !plan.search.contains(kQuestion)) return std::nullopt;
  const Json question = Json::parse(plan.search[kQuestion].dump());
  spec::JobSpec job;
  try {
    JsonReader reader(question, kQuestion);
    constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
    job.seq_length = reader.get_int("seq_length", 1, kMost);
    job.global_batch = reader.get_int("global_batch", 1, kMost);
    job.precision = spec::parse_precision(reader.get_string("precision"));
    job.optimizer = &spec::find_optimizer(reader.get_string("optimizer"));
    job.attended_length = reader.get_int_or("attended_length", 0, 0, kMost);
  } catch (const ConfigError&) {
    return std::nullopt;  // the section is free: somebody else's words
  }
  return job;
}

std::optional<std::string> unlike_recorded(const Plan& plan, const spec::JobSpec& job) {
  const auto recorded = recorded_question(plan);
  const auto digest = recorded_digest(plan);
  if (!recorded || !digest) return "the plan does not say of which training its prediction is";
  if (*digest != plan_digest(plan)) return "the plan was edited since it was predicted";
  const auto other = [](const char* what, const auto& theirs, const auto& ours) {
    return fmt::format("the plan's is of {} {}, not {}", what, theirs, ours);
  };
  if (recorded->seq_length != job.seq_length) {
    return other("sequence length", recorded->seq_length, job.seq_length);
  }
  if (recorded->global_batch != job.global_batch) {
    return other("global batch", recorded->global_batch, job.global_batch);
  }
  if (recorded->precision != job.precision) {
    return other("precision", to_text(recorded->precision), to_text(job.precision));
  }
  if (!attend_alike(*recorded, job)) {
    return other("attended length", attended_tokens(*recorded), attended_tokens(job));
  }
  if (recorded->optimizer == job.optimizer) return std::nullopt;
  return other("optimizer", recorded->optimizer->name, job.optimizer->name);
}

}  // namespace galvatron::plan
