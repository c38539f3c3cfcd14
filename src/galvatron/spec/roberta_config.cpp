// RoBERTa as transformers' RobertaConfig describes it, with the head of RobertaForMaskedLM.
#include "galvatron/base/error.h"
#include "galvatron/spec/bert_config.h"
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/families.h"

namespace galvatron::spec {

ModelSpec roberta_model(const Json& json, const std::string& source) {
  JsonReader reader(json, source, Nulls::kAbsent);
  Json usual = json;
  if (!json.contains("vocab_size")) usual["vocab_size"] = 50265;
  if (!json.contains("pad_token_id")) usual["pad_token_id"] = 1;
  BertConfig config = read_bert_config(usual, source);
  config.family = Family::kRoberta;
  config.head_activation = Activation::kGelu;
  config.positions_skip_padding = true;
  if (config.padding_token < 0)
    refuse_feature(source, "pad_token_id", "null", ": positions begin behind it; give the token");
  config.max_positions -= config.padding_token + 1;
  if (config.max_positions < 1) {
    throw ConfigError("[model] ", source, ": max_position_embeddings ",
                      config.max_positions + config.padding_token + 1,
                      " leave no position behind those of pad_token_id ", config.padding_token);
  }
  return encoder_model(config);
}

}  // namespace galvatron::spec
