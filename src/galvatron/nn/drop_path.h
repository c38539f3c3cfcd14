// Stochastic depth: whole samples skip a branch (Huang et al. 2016).
#pragma once
#include <ATen/core/Tensor.h>

#include "galvatron/nn/dropout.h"
#include "galvatron/nn/layer.h"

namespace galvatron::nn {

// x [B, S, H] of a branch, zero for the samples that skip it. Like dropout, a function of the
// sample's number alone: every rank that has part of a sample decides alike.
at::Tensor drop_path(const at::Tensor& x_BSH, const Dropout& options, const LayerCall& call);

}  // namespace galvatron::nn
