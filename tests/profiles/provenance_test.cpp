#include "galvatron/profiles/provenance.h"

#include <gtest/gtest.h>

namespace galvatron::profiles {
namespace {

constexpr Now kNow =
    std::chrono::sys_days(std::chrono::year(2026) / 11 / 28) + std::chrono::hours(12);

Provenance careful() {
  Provenance out{"node7", "2026-11-20T11:00:00Z", {{"torch", "2.11.0"}}, 7, "measured"};
  out.cores = 8;
  out.other_load = 0.42;
  out.spread = 0.012;
  return out;
}

TEST(SourceText, SaysHowOldAMeasurementIs) {
  Provenance measured;
  measured.host = "host4";
  measured.date = "2026-11-20T11:00:00Z";
  EXPECT_EQ(source_text(measured, kNow), "measured on host4, 2026-11-20 (8 days ago)");
  measured.date = "2026-11-28T11:30:00Z";
  EXPECT_EQ(source_text(measured, kNow), "measured on host4, 2026-11-28 (this hour)");
  measured.date = "";
  measured.note = "from the data sheet of X";
  EXPECT_EQ(source_text(measured, kNow), "from the data sheet of X");
}

TEST(SourceText, SaysHowQuietTheMachineWas) {
  EXPECT_EQ(source_text(careful(), kNow),
            "measured on node7, 2026-11-20 (8 days ago), other programs on 0.4 of 8 cores, spread "
            "1.2 %");
}

TEST(Provenance, ABusyMinuteIsUnsteady) {
  EXPECT_FALSE(is_unsteady(careful()));
  EXPECT_FALSE(is_unsteady({"node7", "", {}, 0, ""})) << "nobody knows";
  Provenance busy = careful();
  busy.other_load = 1.7;
  EXPECT_TRUE(is_unsteady(busy));
  Provenance shaky = careful();
  shaky.spread = 0.11;
  EXPECT_TRUE(is_unsteady(shaky));
}

TEST(Provenance, OlderFilesSayLess) {
  const Json older = {{"provenance", {{"host", "node7"}, {"date", "d"}, {"seed", 7}}}};
  JsonReader reader(older, "profile");
  const Provenance read = read_provenance(reader);
  EXPECT_EQ(read.host, "node7");
  EXPECT_FALSE(read.other_load || read.spread);
  const Json newer = {{"provenance", Json::parse(provenance_to_json(careful()).dump())}};
  JsonReader again(newer, "profile");
  EXPECT_EQ(read_provenance(again), careful());
}

}  // namespace
}  // namespace galvatron::profiles
