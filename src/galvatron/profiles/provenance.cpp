#include "galvatron/profiles/provenance.h"

#include <cmath>
#include <cstdio>

#include <fmt/format.h>

#include "galvatron/base/error.h"

namespace galvatron::profiles {
namespace {

constexpr double kUnsteadySpread = 0.1;
constexpr double kBusyShare = 0.2;  // of the cores

// ISO 8601 in UTC, as profiles have it; nullopt for anything else.
std::optional<Now> parse_date(const std::string& text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (std::sscanf(text.c_str(), "%d-%d-%dT%d:%d:%d", &year, &month, &day, &hour, &minute, &second) <
      3) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

std::string age_text(Now date, Now now) {
  if (date > now) return "in the future";
  const std::int64_t hours = (now - date).count() / 3600;
  if (hours < 1) return "this hour";
  if (hours < 48) return count_text(hours, "hour") + " ago";
  return count_text(hours / 24, "day") + " ago";
}

std::optional<double> read_number_if_there(JsonReader& reader, const std::string& key, double max) {
  if (reader.has(key)) return reader.get_number(key, 0, max);
  reader.ignore(key);
  return std::nullopt;
}

}  // namespace

bool is_unsteady(const Provenance& provenance) {
  const bool busy = provenance.cores > 0 && provenance.other_load &&
                    *provenance.other_load > kBusyShare * provenance.cores;
  return busy || (provenance.spread && *provenance.spread > kUnsteadySpread);
}

double relative_pace(const Provenance& one, const Provenance& other) {
  const bool known = one.reference_ms && other.reference_ms && *one.reference_ms > 0;
  return known && one.host == other.host ? *other.reference_ms / *one.reference_ms : 1;
}

Now current_time() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

std::string source_text(const Provenance& provenance, Now now) {
  if (provenance.date.empty()) return provenance.note;
  const auto date = parse_date(provenance.date);
  std::string out = fmt::format(
      "measured on {}, {}{}", provenance.host.empty() ? "an unnamed machine" : provenance.host,
      provenance.date.substr(0, 10), date ? fmt::format(" ({})", age_text(*date, now)) : "");
  if (provenance.other_load && provenance.cores > 0) {
    out += fmt::format(", other programs on {:.1f} of {} cores", *provenance.other_load,
                       provenance.cores);
  }
  if (provenance.spread) out += fmt::format(", spread {:.1f} %", 100 * *provenance.spread);
  return out;
}

OrderedJson provenance_to_json(const Provenance& provenance) {
  OrderedJson versions = OrderedJson::object();
  for (const auto& [name, version] : provenance.versions) versions[name] = version;
  OrderedJson out = {{"host", provenance.host},
                     {"date", provenance.date},
                     {"versions", versions},
                     {"seed", provenance.seed},
                     {"note", provenance.note}};
  if (provenance.cores > 0) out["cores"] = provenance.cores;
  if (provenance.other_load) out["other_load"] = *provenance.other_load;
  if (provenance.spread) out["spread"] = *provenance.spread;
  if (provenance.reference_ms) out["reference_ms"] = *provenance.reference_ms;
  return out;
}

Provenance read_provenance(JsonReader& profile) {
  JsonReader reader = profile.get_object("provenance");
  Provenance out;
  out.host = reader.get_string_or("host", "");
  out.date = reader.get_string_or("date", "");
  out.seed = reader.get_int_or("seed", 0, 0, std::int64_t{1} << 53);
  out.note = reader.get_string_or("note", "");
  constexpr double kMost = 1e6;
  out.cores = static_cast<int>(reader.get_int_or("cores", 0, 0, 1'000'000));
  out.other_load = read_number_if_there(reader, "other_load", kMost);
  out.spread = read_number_if_there(reader, "spread", kMost);
  out.reference_ms = read_number_if_there(reader, "reference_ms", kMost);
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
