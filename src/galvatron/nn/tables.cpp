#include "galvatron/nn/tables.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/layer.h"

namespace galvatron::nn {

at::Tensor Tables::get(const Key& key, std::int64_t length, const Make& make) {
  Entry& entry = entries_[key];
  if (entry.length < length) {
    const at::NoGradGuard no_grad;
    entry = {length, make(length)};
  }
  return entry.table;
}

at::Tensor table(const LayerCall& call, const Tables::Key& key, std::int64_t length,
                 const Tables::Make& make) {
  return call.tables != nullptr ? call.tables->get(key, length, make) : make(length);
}

}  // namespace galvatron::nn
