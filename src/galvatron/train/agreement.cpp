#include "galvatron/train/agreement.h"

#include "galvatron/base/error.h"
#include "galvatron/comm/launch.h"
#include "galvatron/train/gather.h"

namespace galvatron::train {
namespace {

std::string shown(const Json& facts, const std::string& thing) {
  const auto found = facts.find(thing);
  if (found == facts.end()) return "nothing";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

// The first thing of either in which they differ; "" for none.
std::string first_difference(const Json& mine, const Json& theirs) {
  for (const auto& [a, b] : {std::pair{&mine, &theirs}, std::pair{&theirs, &mine}}) {
    for (const auto& [thing, value] : a->items()) {
      const auto found = b->find(thing);
      if (found == b->end() || *found != value) return thing;
    }
  }
  return "";
}

}  // namespace

void require_agreement(comm::World& world, const OrderedJson& facts) {
  if (world.size() == 1) return;
  const OrderedJson mine{{"host", comm::host_name()}, {"facts", facts}};
  const std::vector<std::string> texts = gather_texts(world, mine.dump());
  const Json first = Json::parse(texts[0]);
  for (std::size_t rank = 1; rank < texts.size(); ++rank) {
    if (texts[rank] == texts[0]) continue;
    const Json other = Json::parse(texts[rank]);
    const std::string thing = first_difference(first["facts"], other["facts"]);
    if (thing.empty()) continue;
    throw ConfigError("[ranks] rank ", rank, " on ", other["host"].get<std::string>(), " has ",
                      thing, " ", shown(other["facts"], thing), ", but rank 0 on ",
                      first["host"].get<std::string>(), " has ", shown(first["facts"], thing),
                      "; start all ranks with the same options, files and versions");
  }
}

}  // namespace galvatron::train
