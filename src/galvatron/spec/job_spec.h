// What is asked of a training run, apart from model, cluster and plan.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "galvatron/base/enum_names.h"
#include "galvatron/spec/communication.h"
#include "galvatron/spec/optimizer_spec.h"

namespace galvatron::spec {

enum class Precision { kFp64, kFp32, kBf16, kFp16 };

constexpr EnumNames<4> names_of(Precision) {
  return {"precision", {"fp64", "fp32", "bf16", "fp16"}};
}

inline std::string to_text(Precision precision) { return enum_text(precision); }
inline Precision parse_precision(const std::string& text) { return parse_enum<Precision>(text); }
inline const std::vector<std::string>& precision_names() { return enum_names<Precision>(); }

// What is fast on a device, by its name as profiles have it: fp32 on "cpu..." (16 bits are slower
// there), bf16 on any other.
Precision fast_precision(const std::string& device);

// Bytes of one element in compute (parameters in use, activations, their gradients).
std::int64_t compute_bytes(Precision precision);
// Bytes of one element of master weights, gradients and each optimizer state: 8 for fp64, else 4.
std::int64_t state_bytes(Precision precision);

struct JobSpec {
  std::int64_t seq_length = 1024;  // tokens per sample
  std::int64_t global_batch = 8;   // samples per optimizer step
  Precision precision = Precision::kBf16;
  const OptimizerSpec* optimizer = &default_optimizer();
  Communication communication = {};
  // Tokens of its own document that a token of a sample is compared with, on average: the sum of
  // the documents' squared lengths over the tokens of the samples. 0: all of the sample.
  std::int64_t attended_length = 0;
};

// Part of a sample's pairs of tokens that are of one document, (0, 1].
double attended_share(const JobSpec& job);

// Bytes of one element of a gradient on its way to its sum over ranks.
std::int64_t reduced_bytes(Precision precision, const Communication& communication);

}  // namespace galvatron::spec
