// Profiles without a machine: from a model's shapes and a data sheet. Also the rule by which
// measured numbers are carried to shapes that were not measured. Pure arithmetic.
#pragma once
#include <string>

#include "galvatron/profiles/hardware_profile.h"
#include "galvatron/profiles/kernel_rates.h"
#include "galvatron/profiles/model_profile.h"
#include "galvatron/spec/cluster_spec.h"
#include "galvatron/spec/job_spec.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::profiles {

// One device, as data sheets describe it.
struct DeviceSpec {
  std::string name;
  double flops_per_ms = 1e12;        // dense peak in the precision at hand (1 TFLOP/s = 1e9 per ms)
  double matmul_efficiency = 0.5;    // (0, 1]: share of the peak that a layer's products reach
  double memory_bytes_per_ms = 1e9;  // 1 TB/s = 1e9 per ms
  double overhead_ms = 0;            // fixed cost of one layer's forward (kernel launches)
  KernelRates kernels;
};

// Forward is the time of its matrix products, of attention, of the memory traffic of what is
// element by element, and overhead; backward twice that, 2.5 times of a fused attention kernel, and
// adding up the gradients (docs/design/cost_model.md, "Data sheets"). `attended_share`: of
// spec/job_spec.h; attention takes the time of the documents, and the memory of whole samples.
// REQUIRES: tp_degree >= 1, samples >= 0, seq_length > 0, 0 < attended_share <= 1.
LayerMeasurement analytic_layer(const spec::LayerSpec& layer, const spec::ModelSpec& model,
                                std::int64_t seq_length, spec::Precision precision,
                                const DeviceSpec& device, int tp_degree, double samples,
                                double attended_share = 1);

// A prepared profile of every layer type. Lookups are exact (no interpolation) for any degree.
ModelProfile analytic_model_profile(const spec::ModelSpec& model, std::int64_t seq_length,
                                    spec::Precision precision, const DeviceSpec& device,
                                    double attended_share = 1);

// Links inside and between nodes for the cluster; no measured tables.
struct NetworkSpec {
  Link intra_node;
  Link inter_node;
  double overlap_slowdown = 1.1;
  double tp_overlap = 0, gather_overlap = 0;  // as in HardwareProfile
  Bytes memory_reserve = gibibytes(1);
};
HardwareProfile analytic_hardware_profile(const spec::ClusterSpec& cluster,
                                          const DeviceSpec& device, const NetworkSpec& network);

}  // namespace galvatron::profiles
