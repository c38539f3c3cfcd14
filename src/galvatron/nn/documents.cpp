#include "galvatron/nn/documents.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::nn {
namespace {

std::vector<Document> documents_of_sample(const std::int64_t* ids, std::int64_t length,
                                          std::int64_t sample) {
  std::vector<Document> out;
  for (std::int64_t begin = 0; begin < length;) {
    const std::int64_t id = ids[begin];
    std::int64_t end = begin + 1;
    while (end < length && ids[end] == id) ++end;
    if (id < 0)
      throw ConfigError("[data] token ", begin, " of sample ", sample, " belongs to document ", id,
                        ": documents are numbered from 1, and 0 is padding");
    const auto twin = std::ranges::find(out, id, &Document::id);
    if (twin != out.end())
      throw ConfigError("[data] tokens ", twin->tokens.begin, " to ", twin->tokens.end - 1, " and ",
                        begin, " to ", end - 1, " of sample ", sample,
                        " belong together, with others between them: a mask may hide what is in "
                        "front of a text and behind it, and each text of a sample has one place");
    if (id > 0) out.push_back({id, {begin, end}});
    begin = end;
  }
  return out;
}

}  // namespace

Documents documents_from_ids(const at::Tensor& ids_BL) {
  GALV_CHECK(ids_BL.dim() == 2 && ids_BL.scalar_type() == at::kLong && ids_BL.is_cpu(),
             "ids of documents are int64 [B, L] on the CPU");
  const at::Tensor ids = ids_BL.contiguous();
  Documents out;
  for (std::int64_t sample = 0; sample < ids.size(0); ++sample)
    out.push_back(documents_of_sample(ids.data_ptr<std::int64_t>() + sample * ids.size(1),
                                      ids.size(1), sample));
  return out;
}

}  // namespace galvatron::nn
