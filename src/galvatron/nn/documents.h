// Which tokens of a sequence belong together: the documents that are packed into a sample, or what
// of it is not padding.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/base/partition.h"

namespace galvatron::nn {

struct Document {
  std::int64_t id = 0;  // > 0; the same in the encoder's and the decoder's sequence
  Range tokens;         // of the whole sequence
};

// Of each sample, by their tokens. Tokens outside of all documents are padding: nothing sees them,
// and they see nothing.
using Documents = std::vector<std::vector<Document>>;

// Of ids [B, L], int64 on the CPU: 0 is padding, tokens of equal ids are one document. ConfigError
// where a document lies in two pieces, or for an id below 0.
Documents documents_from_ids(const at::Tensor& ids_BL);

// What the queries of an attention and its keys belong to; null where every sample is one document.
struct DocumentPair {
  std::shared_ptr<const Documents> queries, keys;
};

}  // namespace galvatron::nn
