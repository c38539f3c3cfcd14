#include "galvatron/spec/job_spec.h"

#include <algorithm>

#include "galvatron/base/error.h"

namespace galvatron::spec {

const std::vector<std::string>& precision_names() {
  static const std::vector<std::string> names = {"fp64", "fp32", "bf16", "fp16"};
  return names;
}

std::string to_text(Precision precision) {
  return precision_names()[static_cast<std::size_t>(precision)];
}

Precision parse_precision(const std::string& text) {
  const auto& names = precision_names();
  const auto it = std::find(names.begin(), names.end(), text);
  if (it == names.end()) {
    throw ConfigError("[precision] '", text, "' is not one of fp64, fp32, bf16, fp16",
                      did_you_mean(text, names));
  }
  return static_cast<Precision>(it - names.begin());
}

std::int64_t compute_bytes(Precision precision) {
  switch (precision) {
    case Precision::kFp64:
      return 8;
    case Precision::kFp32:
      return 4;
    case Precision::kBf16:
    case Precision::kFp16:
      return 2;
  }
  return 0;
}

std::int64_t state_bytes(Precision precision) { return precision == Precision::kFp64 ? 8 : 4; }

std::int64_t optimizer_bytes(const JobSpec& job) {
  return static_cast<std::int64_t>(job.optimizer->states.size()) * state_bytes(job.precision);
}

}  // namespace galvatron::spec
