#include "galvatron/train/agreement.h"

#include "galvatron/base/error.h"
#include "galvatron/comm/launch.h"
#include "galvatron/train/gather.h"

namespace galvatron::train {

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
                      thing, " ", value_text(find_value(other["facts"], thing)), ", but rank 0 on ",
                      first["host"].get<std::string>(), " has ",
                      value_text(find_value(first["facts"], thing)),
                      "; start all ranks with the same options, files and versions");
  }
}

}  // namespace galvatron::train
