#include "galvatron/profiler/agreement.h"

#include "galvatron/comm/torch_headers.h"

namespace galvatron::profiler {

double Agreement::reduce(double mine, comm::Reduction reduction) const {
  if (world_->size() == 1) return mine;
  at::Tensor value =
      at::full({1}, mine, at::TensorOptions().dtype(at::kDouble).device(world_->device()));
  world_->all().all_reduce(value, reduction);
  return value.item<double>();
}

}  // namespace galvatron::profiler
