// What BERT and its kin have in common once their config.json is understood: encoders that learn
// masked tokens, with norms behind the sums.
#pragma once
#include <cstdint>
#include <string>

#include "galvatron/base/json.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

struct BertConfig {
  Family family = Family::kBert;
  std::int64_t vocab_size = 0;
  std::int64_t max_positions = 0;
  std::int64_t num_token_types = 0;  // 0: none
  std::int64_t num_blocks = 0;
  std::int64_t padding_token = -1;
  bool positions_skip_padding = false;  // as ModelSpec's
  bool tied_embeddings = false;
  // An untied output beside whose bias transformers keeps another one that nothing reads: carried,
  // so that a checkpoint comes back whole.
  bool has_unread_bias = false;
  Activation head_activation = Activation::kGelu;
  TransformerShape shape;
  double init_stddev = 0;
};

// Embedding, blocks, head; see README.md for the names of the parameters.
ModelSpec encoder_model(const BertConfig& config);

// BERT's keys, which RoBERTa writes too. ConfigError as the readers of families.h.
BertConfig read_bert_config(const Json& json, const std::string& source);

}  // namespace galvatron::spec
