// The parts of LibTorch that we use: tensors, operators, autograd functions, process groups.
// Include this instead of torch/torch.h, whose modules and optimizers cost ten seconds in every
// file, even one that takes them from a precompiled header.
#pragma once
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>
