// What one layer of each type costs on one rank: compute time and memory over samples and
// tensor-parallel degrees. Measured by profiler/, or computed from shapes (analytic.h).
// Communication is never in here. No torch.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/base/units.h"
#include "galvatron/profiles/contention.h"
#include "galvatron/profiles/curve.h"
#include "galvatron/profiles/provenance.h"
#include "galvatron/spec/job_spec.h"
#include "galvatron/spec/layer_shapes.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::profiles {

struct DeviceSpec;  // analytic.h

// One layer, one microbatch, one rank of a TP group of tp_degree: S = the profile's seq_length, T =
// tp_degree. With T > 1 the rank holds S / T tokens outside the TP region and all S inside it.
struct LayerMeasurement {
  int tp_degree = 1;
  // Samples per microbatch on this rank. Lookups ask for fractions: Ulysses over u ranks is 1/u of
  // a sample's work.
  double samples = 1;
  // Compute only: what collectives take is left out (profiled with groups that do nothing). The
  // head's forward holds logits and loss, its backward their gradients; the runtime runs both
  // inside the backward step.
  Milliseconds forward;
  Milliseconds backward;             // without any recomputation
  Milliseconds selective_recompute;  // added to the backward by recompute "selective"
  // Added by Ulysses to each: copies around the exchange of heads for tokens.
  Milliseconds ulysses_forward, ulysses_backward;
  // Saved by the forward for the backward, beside the layer's input and the parameters. 0 for the
  // head.
  Bytes activation;
  Bytes activation_selective;  // the same under recompute "selective"
  // Largest temporaries beyond what is live before and what is saved: in the forward; in the
  // backward, the parameters' gradients as autograd returns them included.
  Bytes forward_workspace;
  Bytes backward_workspace;
  bool operator==(const LayerMeasurement&) const = default;
};

struct LayerTypeProfile {
  std::string type;       // ModelSpec::type_names()
  Bytes parameter_bytes;  // whole layer, compute precision, unsharded; 0: unknown
  std::vector<LayerMeasurement> measurements;
  spec::Shapes shapes = {};    // spec::layer_shapes(); empty: unknown
  Contention contention = {};  // of this layer; empty: as the hardware profile has it
  bool operator==(const LayerTypeProfile&) const = default;
};

class ModelProfile {
 public:
  Provenance provenance;
  std::string model;  // ModelSpec::name
  std::int64_t seq_length = 0;
  spec::Precision precision = spec::Precision::kFp32;
  std::string device = "cpu";
  std::vector<LayerTypeProfile> types;

  // Index of a type in `types`. ConfigError naming the types there are.
  int index_of(const std::string& type) const;

  // Of a type's own layers, where it was measured. REQUIRES: prepare() was called.
  const Contention& contention(int type) const;

  // Cost of a type at a TP degree and (fractional) samples. Over samples: Curve of the measurements
  // of that degree. A degree that was not measured: those of the nearest measured degree, each
  // number times the ratio of what analytic shapes say for the two degrees. REQUIRES: prepare() was
  // called.
  LayerMeasurement lookup(int type, int tp_degree, double samples) const;

  // What lookups at these TP degrees carry over from shapes that were measured, a sentence each;
  // none for a profile computed from shapes. REQUIRES: prepare() was called.
  std::vector<std::string> extrapolations(const std::vector<int>& tp_degrees) const;

  // Makes the profile ready for lookups under `model` at `seq_length` tokens: any model whose layer
  // types have the shapes that were measured, whatever its name and however many of them it has.
  // ConfigError for other shapes or another precision, or a layer type that is not there; where a
  // profile records neither shapes nor bytes, for another name. A length other than the
  // measured one is allowed: every number is scaled by the ratio of the analytic ones at the two
  // lengths (projections grow linearly, attention scores quadratically in time; memory linearly).
  // So are the times of samples of several documents (attended_share below 1).
  void prepare(const spec::ModelSpec& model, std::int64_t for_seq_length,
               spec::Precision for_precision, double attended_share = 1);

  // Lookups computed from shapes at the profile's own seq_length instead (analytic.h).
  void prepare_analytic(const spec::ModelSpec& model, const DeviceSpec& device,
                        double attended_share = 1);

 private:
  struct Curves;    // of one type and TP degree
  struct Prepared;  // what lookups need
  static std::vector<Curves> make_curves(const LayerTypeProfile& entry);
  void require_shapes(const LayerTypeProfile& entry, const spec::LayerSpec& layer,
                      const spec::ModelSpec& spec) const;

  std::shared_ptr<const Prepared> prepared_;
};

// JSON: {"format": "galvatron-model-profile", "version": 1, "provenance": {...}, "model",
// "seq_length", "precision", "device", "layer_types": [{"type", "parameter_bytes", "shapes":
// {"hidden_size", ...}, "measurements":
// [{"tp_degree", "samples", "forward_ms", "backward_ms", "selective_recompute_ms",
// "ulysses_forward_ms", "ulysses_backward_ms",
// "activation_bytes", "activation_selective_bytes", "forward_workspace_bytes",
// "backward_workspace_bytes"}], "contention": [{"ranks", "slowdown"}]}]}. ConfigError names the
// file and the key.
ModelProfile read_model_profile(const std::filesystem::path& path);
ModelProfile model_profile_from_json(const Json& json, const std::string& source);
OrderedJson model_profile_to_json(const ModelProfile& profile);
void write_model_profile(const std::filesystem::path& path, const ModelProfile& profile);

}  // namespace galvatron::profiles
