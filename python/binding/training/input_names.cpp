#include "input_names.h"

#include "galvatron/base/error.h"

namespace galvatron::binding {
namespace {

struct KindName {
  spec::InputKind kind;
  const char* name;
};

constexpr KindName kNames[] = {{spec::InputKind::kTokens, "tokens"},
                               {spec::InputKind::kTargetTokens, "target_tokens"},
                               {spec::InputKind::kLabels, "labels"},
                               {spec::InputKind::kImages, "images"},
                               {spec::InputKind::kClasses, "classes"},
                               {spec::InputKind::kDocuments, "documents"},
                               {spec::InputKind::kTargetDocuments, "target_documents"},
                               {spec::InputKind::kPositions, "positions"},
                               {spec::InputKind::kTokenTypes, "token_types"},
                               {spec::InputKind::kSecondClasses, "second_classes"}};

}  // namespace

const char* input_kind_name(spec::InputKind kind) {
  for (const KindName& known : kNames) {
    if (known.kind == kind) return known.name;
  }
  GALV_CHECK(false, "input kind without a name");
}

spec::InputKind parse_input_kind(const std::string& name) {
  for (const KindName& known : kNames) {
    if (name == known.name) return known.kind;
  }
  GALV_CHECK(false, "no input kind '", name, "'");
}

}  // namespace galvatron::binding
