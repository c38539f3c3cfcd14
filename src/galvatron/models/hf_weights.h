// How our parameters are stored in a Hugging Face checkpoint: names, parts, orientation. One table
// for both directions; each family has its own (gpt/hf_weights.cpp, llama/hf_weights.cpp).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/base/partition.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::models {

// One tensor of a checkpoint and the part of our parameter that it is.
struct HfTensor {
  // The first is the name that transformers writes. On reading, the first of them that is there.
  std::vector<std::string> names;
  std::vector<std::int64_t> shape;  // as stored
  Range range;                      // of the parameter's split dimension (dimension 0 without one)
  bool transposed = false;          // stored [in, out], as GPT-2's Conv1D does; ours are [out, in]
  // Stored head by head, each with its share of so many segments, which ours has one after the
  // other: GPT-NeoX's [heads, (q, k, v), head size]. 1: as ours.
  std::int64_t interleaved_segments = 1;
  std::int64_t head_size = 1;
};

// The tensors that together are parameter `param` of layer `layer`, in the order of their ranges.
std::vector<HfTensor> hf_tensors(const spec::ModelSpec& model, int layer,
                                 const spec::ParamSpec& param);

// What checkpoints carry and our models have no use for: masks and tables that are no parameters,
// heads of other tasks.
bool is_hf_buffer(const std::string& name);

// "GPT2LMHeadModel", ...: what a config.json names as the architecture of our whole model.
std::string hf_architecture(const spec::ModelSpec& model);

// The part of a whole parameter (or of its gradient) as Hugging Face stores it: a view, or a copy
// where heads are interleaved.
at::Tensor to_hf(const HfTensor& tensor, const spec::ParamSpec& param, const at::Tensor& whole);
// The way back: the part of our parameter that a stored tensor (or what is to take its place) is.
at::Tensor from_hf(const HfTensor& tensor, const at::Tensor& stored);

// --- what the families' tables are made of ---

// A module of ours ("attention.qkv") and theirs: one name for the whole, or one for each segment.
// Also a single parameter whose last name differs: {"class_token", {"embeddings.cls_token"}}.
struct HfModule {
  std::string ours;
  std::vector<std::string> theirs;
  bool transposed = false;
  bool interleaved = false;  // head by head, as HfTensor says
};

// Where a layer's modules lie: `prefix` is the name of the model inside its language-model class
// ("transformer."), which checkpoints of the bare model leave out; `path` goes on from there
// ("h.3.").
struct HfPath {
  std::string prefix;
  std::string path;
};

// REQUIRES: `modules` holds the parameter's module.
std::vector<HfTensor> hf_tensors_of(const spec::ParamSpec& param,
                                    const std::vector<HfModule>& modules, const HfPath& path);

}  // namespace galvatron::models
