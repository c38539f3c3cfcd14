#include "galvatron/spec/preset_hint.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/spec/foreign_families.h"

namespace galvatron::spec {
namespace {

// What the hub adds to the name of a model whose sizes stay the same. Another version of Mistral,
// other patches or other images are another model.
constexpr std::array<std::string_view, 13> kSuffixes = {
    "-hf",   "-instruct",    "-chat",
    "-base", "-uncased",     "-v0.3",
    "-v1.0", "-patch16-224", "-patch4-window12-384",
    "-it",   "-pt",          "-deduped",
    "-4k"};
constexpr std::string_view kPrefix = "meta-";

struct SameSizes {
  std::string_view name, preset;
};
constexpr std::array kSameSizes = {
    SameSizes{"olmo-2-0425-1b", "olmo2-1b"},    SameSizes{"olmo-2-1124-7b", "olmo2-7b"},
    SameSizes{"olmo-2-1124-13b", "olmo2-13b"},  SameSizes{"olmo-2-0325-32b", "olmo2-32b"},
    SameSizes{"llama-3.3-70b", "llama3.1-70b"}, SameSizes{"gpt2-medium", "gpt2-0.3b"}};

std::string find_preset(std::string_view name, const std::vector<std::string>& presets) {
  for (const SameSizes& same : kSameSizes) {
    if (name == same.name) name = same.preset;
  }
  const auto found = std::find_if(presets.begin(), presets.end(), [&](const std::string& preset) {
    return plain_name(preset) == plain_name(name);
  });
  return found == presets.end() ? "" : *found;
}

// Takes the first of kSuffixes off that is there; false: none is.
bool shorten(std::string& name) {
  for (const std::string_view suffix : kSuffixes) {
    if (!name.ends_with(suffix)) continue;
    name.resize(name.size() - suffix.size());
    return true;
  }
  return false;
}

}  // namespace

std::string preset_of_hub_name(const std::string& name, const std::vector<std::string>& presets) {
  std::string rest = lower_case(name.substr(name.rfind('/') + 1));
  if (rest.starts_with(kPrefix)) rest.erase(0, kPrefix.size());
  do {
    const std::string preset = find_preset(rest, presets);
    if (!preset.empty()) return preset;
  } while (shorten(rest));
  return "";
}

std::string unknown_model_hint(const std::string& name, const std::vector<std::string>& presets) {
  const std::string same = preset_of_hub_name(name, presets);
  if (!same.empty()) return "is not a folder here; the preset " + same + " has its sizes";
  const std::string foreign = foreign_name_hint(name);
  if (!foreign.empty()) return "is no preset and no file or folder" + foreign;
  constexpr std::size_t kShown = 3;
  const std::string last = lower_case(name.substr(name.rfind('/') + 1));
  const std::vector<std::string> near = nearest_names(last, presets, kShown);
  if (near.empty()) return "is no preset and no file or folder";
  return fmt::format(
      "is no preset and no file or folder, did you mean '{}'? (galvatron models lists all presets)",
      fmt::join(near, "', '"));
}

}  // namespace galvatron::spec
