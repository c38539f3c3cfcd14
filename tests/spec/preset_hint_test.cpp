#include "galvatron/spec/preset_hint.h"

#include <map>

#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {
namespace {

TEST(PresetOfHubName, KnowsThoseOfTheSameSizes) {
  const std::map<std::string, std::string> known = {
      {"meta-llama/Llama-2-13b-hf", "llama2-13b"},
      {"meta-llama/Llama-2-70b-chat-hf", "llama2-70b"},
      {"meta-llama/Meta-Llama-3-8B-Instruct", "llama3-8b"},
      {"meta-llama/Llama-3.1-405B", "llama3.1-405b"},
      {"meta-llama/Llama-3.3-70B-Instruct", "llama3.1-70b"},
      {"meta-llama/Llama-3.2-1B", "llama3.2-1b"},
      {"huggyllama/llama-65b", "llama-65b"},
      {"Qwen/Qwen2.5-7B", "qwen2.5-7b"},
      {"Qwen/Qwen2.5-0.5B-Instruct", "qwen2.5-0.5b"},
      {"Qwen/Qwen3-8B-Base", "qwen3-8b"},
      {"mistralai/Mistral-7B-Instruct-v0.3", "mistral-7b"},
      {"openai-community/gpt2", "gpt2"},
      {"gpt2-medium", "gpt2-0.3b"},
      {"google-bert/bert-base-uncased", "bert-base"},
      {"google-t5/t5-large", "t5-large"},
      {"google/vit-base-patch16-224", "vit-base"},
      {"TinyLlama/TinyLlama-1.1B-Chat-v1.0", "tinyllama-1.1b"},
      {"LLaMA2_7B", "llama2-7b"},
      {"microsoft/Phi-3-mini-4k-instruct", "phi3-mini"},
      {"EleutherAI/pythia-1.4b-deduped", "pythia-1.4b"},
      {"allenai/OLMo-2-1124-7B-Instruct", "olmo2-7b"},
      {"google/gemma-2b", "gemma-2b"},
      {"google/gemma-2-2b-it", "gemma2-2b"},
      {"google/gemma-3-1b-pt", "gemma3-1b"},
  };
  for (const auto& [name, preset] : known)
    EXPECT_EQ(preset_of_hub_name(name, preset_names()), preset) << name;
}

// Other sliding windows, vocabularies, patches, heads or experts.
TEST(PresetOfHubName, LeavesOthersAlone) {
  for (const char* name :
       {"mistralai/Mistral-7B-v0.1", "bert-base-cased", "google/vit-huge-patch14-224-in21k",
        "gpt2-xl", "Qwen/Qwen3-30B-A3B", "mistralai/Mixtral-8x7B-v0.1", "google/gemma-3-4b-it",
        "microsoft/Phi-3-mini-128k-instruct", "", "-"})
    EXPECT_EQ(preset_of_hub_name(name, preset_names()), "") << name;
}

TEST(UnknownModelHint, NamesTheNearest) {
  EXPECT_EQ(unknown_model_hint("org/gpt3-175", {"bert-base", "gpt2", "gpt3-175b", "gpt3-13b"}),
            "is no preset and no file or folder, did you mean 'gpt3-175b', 'gpt3-13b', 'gpt2'? "
            "(galvatron models lists all presets)");
  EXPECT_EQ(unknown_model_hint("gpt2", {}), "is no preset and no file or folder");
}

}  // namespace
}  // namespace galvatron::spec
