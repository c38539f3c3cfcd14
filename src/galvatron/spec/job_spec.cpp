#include "galvatron/spec/job_spec.h"

#include <algorithm>

namespace galvatron::spec {

Precision fast_precision(const std::string& device) {
  return device.starts_with("cpu") ? Precision::kFp32 : Precision::kBf16;
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

double attended_share(const JobSpec& job) {
  if (job.attended_length == 0) return 1;
  return std::min(1.0,
                  static_cast<double>(job.attended_length) / static_cast<double>(job.seq_length));
}

std::int64_t reduced_bytes(Precision precision, const Communication& communication) {
  return communication.reduces_in_bf16() ? compute_bytes(Precision::kBf16) : state_bytes(precision);
}

}  // namespace galvatron::spec
