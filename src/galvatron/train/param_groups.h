// Parameters that are trained in a way of their own, by patterns of their Hugging Face names: a
// share of the learning rate, another weight decay, or not at all.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/partition.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::train {

struct ParamGroup {
  // A shell's: * is any text, ? any character, [ab] either. Of the whole name.
  std::string pattern;
  double lr_scale = 1;
  std::optional<double> weight_decay;  // of all its parameters, also one-dimensional ones
  bool frozen = false;
};

// "*.bias:lr=0.1x,weight_decay=0", "model.embed_tokens.*:frozen". ConfigError for other text.
ParamGroup parse_param_group(const std::string& text);

class ParamGroups {
 public:
  // Where a parameter that is one here is several in a checkpoint (q, k and v), each can be of
  // another group: `range` is of its split dimension.
  struct Part {
    Range range;
    int group = 0;
  };

  ParamGroups() = default;
  // Of several patterns that match, the first counts. ConfigError for a pattern that matches no
  // parameter of the model, or only those of groups before it, and where nothing is left to train.
  ParamGroups(const std::vector<std::string>& texts, const spec::ModelSpec& model);

  const ParamGroup& group(int index) const { return groups_[static_cast<std::size_t>(index)]; }
  // By full name ("block.3.attention.qkv.weight"), in the order of their ranges.
  std::vector<Part> parts(const std::string& full_name) const;

 private:
  std::vector<ParamGroup> groups_;
  std::map<std::string, std::vector<Part>> parts_;
};

}  // namespace galvatron::train
