// What becomes of the borders between documents.
#pragma once
#include <cstdint>

#include "galvatron/base/enum_names.h"

namespace galvatron::data {

enum class DocumentMode : std::uint8_t {
  kJoined,  // samples are cut from the row of all tokens; a token sees what lies before it
  kMasked,  // the same samples; a token sees its own document alone, whose positions start at 0
  kPacked,  // whole documents, packed into samples as full as they go
};
constexpr EnumNames<3> names_of(DocumentMode) {
  return {"treatment of documents", {"joined", "masked", "packed"}};
}

}  // namespace galvatron::data
