// galvatron models: which presets there are, and the numbers of a model before it is trained.
#include <cstdio>
#include <memory>

#include "galvatron/base/error.h"
#include "galvatron/cli/commands.h"
#include "galvatron/spec/model_table.h"
#include "galvatron/spec/presets.h"

namespace galvatron::cli {
namespace {

constexpr const char* kModelsExamples =
    "Examples:\n"
    "  galvatron models\n"
    "  galvatron models llama2-13b\n"
    "  galvatron models llama2-7b --num-layers 48 --hidden-size 6144 --num-heads 48 --json";

struct ModelsCommand {
  std::string model;
  spec::ModelOverrides overrides;
  bool json = false;
};

int list_models(const ModelsCommand& command) {
  const std::string stray = spec::given_override(command.overrides, {});
  if (!stray.empty()) throw ConfigError("--", stray, " changes a model; name one");
  const std::vector<spec::ModelSpec> models = spec::load_presets();
  if (!command.json) {
    std::printf("%s", spec::models_table(models).c_str());
    return 0;
  }
  OrderedJson out = OrderedJson::array();
  for (const spec::ModelSpec& model : models) out.push_back(spec::model_to_json(model));
  std::printf("%s\n", out.dump(2).c_str());
  return 0;
}

int show_model(const ModelsCommand& command) {
  const spec::ModelSpec model = spec::load_model(command.model, command.overrides);
  const std::string text =
      command.json ? spec::model_to_json(model).dump(2) + "\n" : spec::model_table(model);
  std::printf("%s", text.c_str());
  return 0;
}

OptionList options_of(ModelsCommand& command) {
  OptionList list;
  list.group("Input");
  list.text("model", command.model, "Preset name, config.json or folder; default: every preset")
      .positional();
  list.append(spec::model_override_options(command.overrides));
  list.group("Output");
  list.flag("json", command.json, "For programs: one object, or of all presets a list of them");
  return list;
}

}  // namespace

void add_models_command(CommandLine& line) {
  const auto options = std::make_shared<ModelsCommand>();
  CLI::App& command = line.add("models", kModelsExamples, [options] {
    return options->model.empty() ? list_models(*options) : show_model(*options);
  });
  add_options(command, options_of(*options));
}

}  // namespace galvatron::cli
