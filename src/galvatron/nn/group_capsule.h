// A comm::Group inside an autograd context.
#pragma once

#include "galvatron/comm/group.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::nn {

struct GroupHolder : torch::CustomClassHolder {
  explicit GroupHolder(comm::Group g) : group(std::move(g)) {}
  comm::Group group;
};

inline c10::IValue to_capsule(const comm::Group& group) {
  return c10::IValue::make_capsule(c10::make_intrusive<GroupHolder>(group));
}

inline const comm::Group& group_of(const c10::IValue& capsule) {
  return static_cast<GroupHolder*>(capsule.toCapsule().get())->group;
}

}  // namespace galvatron::nn
