#include "galvatron/spec/job_spec.h"

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

std::int64_t reduced_bytes(Precision precision, const Communication& communication) {
  return communication.reduces_in_bf16() ? compute_bytes(Precision::kBf16) : state_bytes(precision);
}

}  // namespace galvatron::spec
