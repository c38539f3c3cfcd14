// How gradients are reduced and parameters gathered over data-parallel ranks: what a plan's layers
// leave open. Plans have it, the runtime does it, predictions know it.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/enum_names.h"
#include "galvatron/base/json.h"
#include "galvatron/base/option.h"
#include "galvatron/base/units.h"

namespace galvatron::spec {

enum class GradReduce { kMicrobatch, kStep };
constexpr EnumNames<2> names_of(GradReduce) { return {"grad_reduce", {"microbatch", "step"}}; }

enum class GradReducePrecision { kFp32, kBf16 };
constexpr EnumNames<2> names_of(GradReducePrecision) {
  return {"grad_reduce_precision", {"fp32", "bf16"}};
}

enum class ParameterGather { kWait, kOverlap };
constexpr EnumNames<2> names_of(ParameterGather) {
  return {"parameter_gather", {"wait", "overlap"}};
}

struct Communication {
  // ZeRO-2 and 3 reduce each microbatch's gradients into a slice, or add up a step's whole, which
  // takes their memory, and reduce them once. Others do the second anyway.
  GradReduce grad_reduce = GradReduce::kMicrobatch;
  // Summed over ranks in the type of the gradients (fp32, in fp64 runs fp64), or in bf16 at half
  // the bytes.
  GradReducePrecision grad_reduce_precision = GradReducePrecision::kFp32;
  // What ZeRO-1 and 2 gather after the optimizer is waited for at once, or where the next forward
  // uses it.
  ParameterGather parameter_gather = ParameterGather::kWait;
  // Of reductions that may be under way beside those of the layer behind. Unset: of all that need
  // no memory for it.
  std::optional<Bytes> reduce_window;
  // ZeRO-3: parameters gathered ahead beside those of the next layer.
  Bytes gather_window;

  // Under a ZeRO stage: with every microbatch, into a slice; else once a step.
  bool reduces_each(int zero_stage) const {
    return zero_stage >= 2 && grad_reduce == GradReduce::kMicrobatch;
  }
  bool reduces_in_bf16() const { return grad_reduce_precision == GradReducePrecision::kBf16; }
  bool operator==(const Communication&) const = default;
};

// What differs from the default, as {"grad_reduce": "step"}; windows in bytes.
OrderedJson communication_to_json(const Communication& communication);
Communication read_communication(JsonReader reader);

// What somebody wants instead of a plan's, or of the default.
struct CommunicationWish {
  std::optional<GradReduce> grad_reduce;
  std::optional<GradReducePrecision> grad_reduce_precision;
  std::optional<ParameterGather> parameter_gather;
  std::optional<Bytes> reduce_window, gather_window;

  static CommunicationWish for_all_of(const Communication& communication);
  Communication applied_to(Communication communication) const;
};
// The command line that wishes for it.
std::vector<std::string> communication_arguments(const Communication& communication);
inline constexpr const char* kCommunicationOptions = "Communication";  // their heading
// `wish` must outlive the list.
OptionList communication_options(CommunicationWish& wish);

}  // namespace galvatron::spec
