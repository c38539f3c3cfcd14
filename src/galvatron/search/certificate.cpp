#include "galvatron/search/certificate.h"

#include <fmt/format.h>

namespace galvatron::search {

std::string to_text(const Certificate& certificate) {
  std::string out = fmt::format(
      "  {:.6g} ms per sample; no plan of this space is below {:.6g} ms (gap {})\n",
      certificate.value, certificate.lower_bound,
      certificate.gap() == 0 ? "0: optimal" : fmt::format("{:.3g} %", 100 * certificate.gap()));
  out += fmt::format(
      "  {} candidates: {} too large, {} pruned by their bound, {} looked into ({} nodes)\n",
      certificate.candidates, certificate.infeasible, certificate.pruned, certificate.solved,
      certificate.nodes);
  if (certificate.interleaved > 0) {
    out += fmt::format(
        "  interleaved: even stages or even blocks, one strategy for all layers of a kind, TP on "
        "neighbours, "
        "enumerated; {} shapes, {} pruned by their bound{}\n",
        certificate.interleaved, certificate.interleaved - certificate.interleaved_opened,
        certificate.interleaved_given_up == 0
            ? ""
            : fmt::format(
                  ", {} with too many choices (forbid schedule=interleaved to prove the rest)",
                  certificate.interleaved_given_up));
  }
  if (certificate.runs < certificate.runs_before) {
    out +=
        fmt::format("  simplified: {} runs of layers instead of {}, {:+.2g} %\n", certificate.runs,
                    certificate.runs_before, 100 * certificate.simplicity_cost);
  }
  if (!certificate.ended_by.empty()) {
    out += fmt::format("  ended by {}: what it had not looked at counts with its bound\n",
                       certificate.ended_by);
  }
  std::string phases;
  for (const Certificate::Phase& phase : certificate.phases) {
    phases += fmt::format("{}{} {}", phases.empty() ? "  " : ", ", phase.name, to_text(phase.time));
  }
  return phases.empty() ? out : out + phases + "\n";
}

}  // namespace galvatron::search
