// Ranks with a CUDA device each that talk by NCCL. Part of the plugin.
#pragma once
#include <chrono>
#include <memory>

#include <torch/csrc/distributed/c10d/Store.hpp>

#include "galvatron/comm/backends/backend.h"

namespace galvatron::comm {

std::shared_ptr<World::Factory> make_nccl_group_factory(c10::intrusive_ptr<c10d::Store> store,
                                                        c10::Device device,
                                                        std::chrono::milliseconds timeout);

}  // namespace galvatron::comm
