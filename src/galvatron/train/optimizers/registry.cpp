#include <map>

#include "galvatron/base/error.h"
#include "galvatron/train/optimizers/optimizer.h"

namespace galvatron::train {

using OptimizerMaker = std::unique_ptr<Optimizer>(const std::vector<runtime::ParamUnit*>&,
                                                  const spec::OptimizerChoice&);
OptimizerMaker make_adafactor, make_adamw, make_lion, make_muon,
    make_sgd;  // each in the file of its name

std::unique_ptr<Optimizer> make_optimizer(const std::vector<runtime::ParamUnit*>& units,
                                          const spec::OptimizerChoice& choice) {
  static const std::map<std::string, OptimizerMaker*> makers = {{"adafactor", make_adafactor},
                                                                {"adamw", make_adamw},
                                                                {"lion", make_lion},
                                                                {"muon", make_muon},
                                                                {"sgd", make_sgd}};
  const auto found = makers.find(choice.spec().name);
  GALV_CHECK(found != makers.end(), "no file in train/optimizers makes ", choice.spec().name);
  return found->second(units, choice);
}

}  // namespace galvatron::train
