#include "galvatron/profiles/model_profile.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/profiles/analytic.h"

namespace galvatron::profiles {
namespace {

// The numbers of a measurement, so that one rule serves them all.
constexpr std::size_t kNumFields = 9;
using Fields = std::array<double, kNumFields>;

Fields to_fields(const LayerMeasurement& m) {
  return {m.forward.value,
          m.backward.value,
          m.selective_recompute.value,
          m.ulysses_forward.value,
          m.ulysses_backward.value,
          static_cast<double>(m.activation.value),
          static_cast<double>(m.activation_selective.value),
          static_cast<double>(m.forward_workspace.value),
          static_cast<double>(m.backward_workspace.value)};
}

LayerMeasurement from_fields(const Fields& f, int tp_degree, double samples) {
  return {tp_degree,
          samples,
          {f[0]},
          {f[1]},
          {f[2]},
          {f[3]},
          {f[4]},
          whole_bytes(f[5]),
          whole_bytes(f[6]),
          whole_bytes(f[7]),
          whole_bytes(f[8])};
}

// Carries numbers from one shape to another by what analytic shapes say of the two. Where the
// analytic number is 0 the measured one stays.
Fields scale(const Fields& values, const Fields& from, const Fields& to) {
  Fields out = values;
  for (std::size_t i = 0; i < kNumFields; ++i) {
    if (from[i] > 0 && to[i] > 0) out[i] *= to[i] / from[i];
  }
  return out;
}

// Its balance of compute to memory traffic decides how element-wise work weighs in the ratios.
DeviceSpec reference_device(const std::string& name) { return {name, 1e9, 1, 5e7, 0, {}}; }

}  // namespace

struct ModelProfile::Curves {
  int tp_degree = 1;
  std::array<Curve, kNumFields> fields;
};

struct ModelProfile::Prepared {
  spec::ModelSpec model;
  std::int64_t seq_length = 0;
  double attended_share = 1;
  std::optional<DeviceSpec> analytic;      // then `types` is empty
  std::vector<std::vector<Curves>> types;  // by ModelSpec type, then TP degree, ascending
  std::vector<Contention> contention;      // by ModelSpec type; empty: of no type
};

int ModelProfile::index_of(const std::string& type) const {
  std::vector<std::string> names;
  for (const LayerTypeProfile& entry : types) names.push_back(entry.type);
  const auto it = std::find(names.begin(), names.end(), type);
  if (it == names.end()) {
    throw ConfigError("[profile] the profile of '", model, "' has no layer type '", type,
                      "' (only ", fmt::format("{}", fmt::join(names, ", ")),
                      "); run `galvatron profile-model` again");
  }
  return static_cast<int>(it - names.begin());
}

const Contention& ModelProfile::contention(int type) const {
  static const Contention unknown;
  GALV_CHECK(prepared_, "ModelProfile::prepare was not called");
  const auto& all = prepared_->contention;
  return all.empty() ? unknown : all[static_cast<std::size_t>(type)];
}

void ModelProfile::require_shapes(const LayerTypeProfile& entry, const spec::LayerSpec& layer,
                                  const spec::ModelSpec& spec) const {
  const auto refuse = [&](const auto&... problem) {
    throw ConfigError("[profile] the profile ", problem...,
                      "; run `galvatron profile-model --model ", spec.name, "`");
  };
  if (const auto other = spec::shape_difference(entry.shapes, spec::layer_shapes(layer))) {
    refuse("of '", model, "' has a layer type '", entry.type, "' of ", other->name, " ",
           other->recorded, ", that of model '", spec.name, "' has ", other->now);
  }
  if (!entry.shapes.empty()) return;
  const Bytes bytes{layer.num_params() * spec::compute_bytes(precision)};
  if (entry.parameter_bytes.value != 0 && entry.parameter_bytes != bytes) {
    refuse("of '", model, "' has a layer type '", entry.type, "' with ",
           entry.parameter_bytes.value, " bytes of parameters, that of model '", spec.name,
           "' has ", bytes.value);
  }
  if (entry.parameter_bytes.value == 0 && model != spec.name) {
    refuse("is of model '", model, "', not of '", spec.name, "'");
  }
}

void ModelProfile::prepare(const spec::ModelSpec& spec, std::int64_t for_seq_length,
                           spec::Precision for_precision, double attended_share) {
  if (precision != for_precision) {
    throw ConfigError("[profile] the profile was measured in ", spec::to_text(precision),
                      ", not in ", spec::to_text(for_precision),
                      "; profile again with --precision ", spec::to_text(for_precision));
  }
  auto prepared = std::make_shared<Prepared>();
  prepared->model = spec;
  prepared->seq_length = for_seq_length;
  prepared->attended_share = attended_share;
  const std::vector<std::string> names = spec.type_names();
  for (int type = 0; type < static_cast<int>(names.size()); ++type) {
    const auto index = index_of(names[static_cast<std::size_t>(type)]);
    const LayerTypeProfile& entry = types[static_cast<std::size_t>(index)];
    require_shapes(entry, spec.layer(spec.first_layer_of_type(type)), spec);
    prepared->types.push_back(make_curves(entry));
    prepared->contention.push_back(entry.contention);
  }
  prepared_ = std::move(prepared);
}

void ModelProfile::prepare_analytic(const spec::ModelSpec& spec, const DeviceSpec& device_spec,
                                    double attended_share) {
  auto prepared = std::make_shared<Prepared>();
  prepared->model = spec;
  prepared->seq_length = seq_length;
  prepared->attended_share = attended_share;
  prepared->analytic = device_spec;
  prepared_ = std::move(prepared);
}

std::vector<ModelProfile::Curves> ModelProfile::make_curves(const LayerTypeProfile& entry) {
  if (entry.measurements.empty()) {
    throw ConfigError("[profile] layer type '", entry.type, "' has no measurements");
  }
  std::map<int, std::array<std::vector<CurvePoint>, kNumFields>> points;
  for (const LayerMeasurement& m : entry.measurements) {
    const Fields fields = to_fields(m);
    for (std::size_t i = 0; i < kNumFields; ++i) {
      points[m.tp_degree][i].push_back({m.samples, fields[i]});
    }
  }
  std::vector<Curves> out;
  for (auto& [tp_degree, fields] : points) {
    Curves curves;
    curves.tp_degree = tp_degree;
    for (std::size_t i = 0; i < kNumFields; ++i) curves.fields[i] = Curve(std::move(fields[i]));
    out.push_back(std::move(curves));
  }
  return out;
}

std::vector<std::string> ModelProfile::extrapolations(const std::vector<int>& tp_degrees) const {
  GALV_CHECK(prepared_, "ModelProfile::prepare was not called");
  std::vector<std::string> out;
  if (prepared_->analytic) return out;
  if (prepared_->seq_length != seq_length) {
    out.push_back(fmt::format("layers at {} tokens: from {} measured, by their shapes",
                              prepared_->seq_length, seq_length));
  }
  if (prepared_->attended_share < 1) {
    const double length = prepared_->attended_share * static_cast<double>(prepared_->seq_length);
    out.push_back(fmt::format(
        "attention in documents of {:.0f} tokens: from whole samples measured, by their shapes",
        length));
  }
  std::set<int> measured;
  for (const LayerTypeProfile& entry : types) {
    for (const LayerMeasurement& m : entry.measurements) measured.insert(m.tp_degree);
  }
  std::set<int> unmeasured;
  for (const int degree : tp_degrees) {
    if (!measured.contains(degree)) unmeasured.insert(degree);
  }
  if (!unmeasured.empty()) {
    out.push_back(fmt::format("layers at tp_degree {}: from tp_degree {} measured, by their shapes",
                              fmt::join(unmeasured, ", "), fmt::join(measured, ", ")));
  }
  return out;
}

LayerMeasurement ModelProfile::lookup(int type, int tp_degree, double samples) const {
  GALV_CHECK(prepared_, "ModelProfile::prepare was not called");
  const Prepared& ready = *prepared_;
  const auto& layer = ready.model.layer(ready.model.first_layer_of_type(type));
  const auto analytic = [&](std::int64_t seq, int tp, double attended_share) {
    return to_fields(analytic_layer(layer, ready.model, seq, precision, reference_device(device),
                                    tp, samples, attended_share));
  };
  if (ready.analytic) {
    return analytic_layer(layer, ready.model, ready.seq_length, precision, *ready.analytic,
                          tp_degree, samples, ready.attended_share);
  }
  const auto& degrees = ready.types[static_cast<std::size_t>(type)];
  const auto nearest =
      std::min_element(degrees.begin(), degrees.end(), [&](const Curves& a, const Curves& b) {
        const auto distance = [&](int degree) {
          return std::abs(std::log(static_cast<double>(degree) / tp_degree));
        };
        return distance(a.tp_degree) < distance(b.tp_degree);
      });
  Fields fields;
  for (std::size_t i = 0; i < kNumFields; ++i) fields[i] = nearest->fields[i].at(samples);
  if (nearest->tp_degree != tp_degree || ready.seq_length != seq_length ||
      ready.attended_share < 1) {
    fields = scale(fields, analytic(seq_length, nearest->tp_degree, 1),
                   analytic(ready.seq_length, tp_degree, ready.attended_share));
  }
  return from_fields(fields, tp_degree, samples);
}

}  // namespace galvatron::profiles
