#include "galvatron/profiles/provenance.h"

#include "galvatron/base/error.h"

namespace galvatron::profiles {

OrderedJson provenance_to_json(const Provenance& provenance) {
  OrderedJson versions = OrderedJson::object();
  for (const auto& [name, version] : provenance.versions) versions[name] = version;
  return {{"host", provenance.host},
          {"date", provenance.date},
          {"versions", versions},
          {"seed", provenance.seed},
          {"note", provenance.note}};
}

Provenance read_provenance(JsonReader& profile) {
  JsonReader reader = profile.get_object("provenance");
  Provenance out;
  out.host = reader.get_string_or("host", "");
  out.date = reader.get_string_or("date", "");
  out.seed = reader.get_int_or("seed", 0, 0, std::int64_t{1} << 53);
  out.note = reader.get_string_or("note", "");
  if (reader.has("versions")) {
    JsonReader versions = reader.get_object("versions");
    for (const std::string& name : versions.keys()) {
      out.versions[name] = versions.get_string(name);
    }
  } else {
    reader.ignore("versions");
  }
  reader.finish();
  return out;
}

}  // namespace galvatron::profiles
