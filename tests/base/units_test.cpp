#include "galvatron/base/units.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron {
namespace {

std::int64_t parse(std::string_view text) { return parse_bytes(text, "memory").value; }

TEST(ParseBytes, TakesDecimalAndBinaryUnits) {
  EXPECT_EQ(parse("80GB"), 80'000'000'000);
  EXPECT_EQ(parse("16GiB"), std::int64_t{16} << 30);
  EXPECT_EQ(parse("512 MiB"), 512 << 20);
  EXPECT_EQ(parse("1.5G"), std::int64_t{3} << 29);
  EXPECT_EQ(parse("36gb"), 36'000'000'000);
  EXPECT_EQ(parse("2TiB"), std::int64_t{2} << 40);
  EXPECT_EQ(parse("1048576"), 1 << 20);
  EXPECT_EQ(parse("12 B"), 12);
}

TEST(ParseBytes, RefusesWhatIsNoSizeAndSaysHowToWriteOne) {
  for (const char* text : {"", "GiB", "12 apples", "-3GB", "0", "nan", "inf", "1e40", "16GiBs"}) {
    const std::string message = config_error_of([&] { parse(text); });
    EXPECT_NE(message.find("[memory] '" + std::string(text) + "' is not a size"), std::string::npos)
        << "text '" << text << "' gave: " << message;
  }
  EXPECT_NE(config_error_of([] { parse("x"); }).find("such as 16GiB"), std::string::npos);
}

TEST(ParseAmount, ReadsThousandsMillionsBillionsAndTrillions) {
  EXPECT_DOUBLE_EQ(parse_amount("1T", "--tokens"), 1e12);
  EXPECT_DOUBLE_EQ(parse_amount("15.6T", "--tokens"), 15.6e12);
  EXPECT_DOUBLE_EQ(parse_amount("300b", "--tokens"), 300e9);
  EXPECT_DOUBLE_EQ(parse_amount("2.5M", "--tokens"), 2.5e6);
  EXPECT_DOUBLE_EQ(parse_amount("1000", "--tokens"), 1000);
  for (const char* text : {"", "T", "1x", "1 T", "1TB", "-1", "0", "nan", "1e30"}) {
    EXPECT_EQ(
        config_error_of([&] { parse_amount(text, "--tokens"); }),
        "--tokens needs an amount such as 300B, 1.5T or 1000000, not '" + std::string(text) + "'");
  }
}

TEST(RoundedUpText, IsReadBackAsNoLess) {
  EXPECT_EQ(rounded_up_text(gibibytes(12)), "12GiB");
  EXPECT_EQ(rounded_up_text(Bytes{31917002240}), "29.73GiB");
  EXPECT_EQ(rounded_up_text(gibibytes(12) + Bytes{1}), "12.01GiB");
  EXPECT_EQ(rounded_up_text(gibibytes(2118) + mebibytes(3)), "2118.01GiB");
  EXPECT_EQ(rounded_up_text(mebibytes(613) - Bytes{1}), "613MiB");
  EXPECT_EQ(rounded_up_text(Bytes{1025}), "2KiB");
  for (std::int64_t bytes = 1; bytes < std::int64_t{1} << 46; bytes = bytes * 3 + 7) {
    const Bytes again = parse_bytes(rounded_up_text(Bytes{bytes}), "memory");
    EXPECT_GE(again.value, bytes);
    EXPECT_LE(again.value, bytes + std::max(bytes / 100, mebibytes(1).value)) << bytes;
  }
}

TEST(AmountText, ShowsThreeDigits) {
  EXPECT_EQ(amount_text(13015864320), "13.0 B");
  EXPECT_EQ(amount_text(1e12), "1.00 T");
  EXPECT_EQ(amount_text(124e6), "124 M");
  EXPECT_EQ(amount_text(128), "128");
  EXPECT_EQ(amount_text(999600), "1.00 M");
}

TEST(ParseBandwidth, TellsBitsFromBytes) {
  const auto parse = [](std::string_view text) { return parse_bandwidth(text, "inter-node"); };
  EXPECT_EQ(parse("25GB/s"), gigabytes_per_second(25));
  EXPECT_EQ(parse("200Gb/s"), gigabytes_per_second(25));
  EXPECT_EQ(parse("200 Gbps"), gigabytes_per_second(25));
  EXPECT_EQ(parse("1.5TB/s"), gigabytes_per_second(1500));
  EXPECT_EQ(parse("1GiB/s").bytes_per_ms, 1024.0 * 1024 * 1024 / 1000);
  EXPECT_EQ(parse("500MB/s"), gigabytes_per_second(0.5));
}

TEST(ParseBandwidth, RefusesWhatCouldMeanEither) {
  for (const char* text : {"", "25", "25gb/s", "25GB", "GB/s", "-1GB/s", "0GB/s", "nanGB/s",
                           "infGB/s", "1e30GB/s", "25GB/s!", "25 apples/s"}) {
    const std::string message = config_error_of([&] { parse_bandwidth(text, "inter-node"); });
    EXPECT_EQ(message, "[inter-node] '" + std::string(text) +
                           "' is not a bandwidth; write bytes (25GB/s) or bits (200Gb/s) a second");
  }
}

TEST(ExactText, IsReadBackAsTheSameValue) {
  for (const Bytes bytes : {gibibytes(79), mebibytes(1500), Bytes{80'000'000'001}, Bytes{1}}) {
    EXPECT_EQ(parse_bytes(exact_text(bytes), "memory"), bytes);
  }
  for (const double gb : {22.0, 1.4, 1.0 / 3}) {
    const Bandwidth bandwidth = gigabytes_per_second(gb);
    EXPECT_NEAR(parse_bandwidth(exact_text(bandwidth), "link").bytes_per_ms, bandwidth.bytes_per_ms,
                1e-9 * bandwidth.bytes_per_ms);
  }
  EXPECT_EQ(exact_text(gibibytes(79)), "79GiB");
  EXPECT_EQ(exact_text(mebibytes(1500)), "1500MiB");
  EXPECT_EQ(exact_text(gigabytes_per_second(1.4)), "1.4GB/s");
}

TEST(BandwidthText, ShowsThreeDigitsInDecimalUnits) {
  EXPECT_EQ(to_text(gigabytes_per_second(22)), "22.0 GB/s");
  EXPECT_EQ(to_text(gigabytes_per_second(0.5)), "500 MB/s");
  EXPECT_EQ(to_text(gigabytes_per_second(2039)), "2.04 TB/s");
}

TEST(CountText, HasAPluralAndEveryDigit) {
  EXPECT_EQ(count_text(1, "stage"), "1 stage");
  EXPECT_EQ(count_text(0, "stage"), "0 stages");
  EXPECT_EQ(count_text(2, "microbatch"), "2 microbatches");
  EXPECT_EQ(count_text(1'048'576, "rank"), "1048576 ranks");
}

TEST(BytesText, ShowsThreeDigitsInBinaryUnits) {
  EXPECT_EQ(to_text(Bytes{12}), "12 B");
  EXPECT_EQ(to_text(kibibytes(17)), "17.0 KiB");
  EXPECT_EQ(to_text(mebibytes(312)), "312 MiB");
  EXPECT_EQ(to_text(gibibytes(3) + mebibytes(512)), "3.50 GiB");
  EXPECT_EQ(to_text(Bytes{} - mebibytes(2)), "-2.00 MiB");
  // Never "1024 MiB": the next unit starts where rounding would show it.
  EXPECT_EQ(to_text(gibibytes(1) - Bytes{1}), "1.00 GiB");
}

TEST(MillisecondsText, ChoosesTheUnit) {
  EXPECT_EQ(to_text(Milliseconds{1240}), "1.24 s");
  EXPECT_EQ(to_text(Milliseconds{312}), "312 ms");
  EXPECT_EQ(to_text(Milliseconds{0.085}), "85.0 us");
  EXPECT_EQ(to_text(Milliseconds{3.6e6 * 2 + 60e3 * 5}), "2h 05m");
  EXPECT_EQ(to_text(Milliseconds{-5}), "-5.00 ms");
  EXPECT_EQ(to_text(Milliseconds{0}), "0 s");
}

TEST(Units, AddAndCompareAsNumbersDo) {
  EXPECT_EQ(mebibytes(1) * 3 + kibibytes(1), (Bytes{3 * (1 << 20) + 1024}));
  EXPECT_LT(mebibytes(1), gibibytes(1));
  EXPECT_DOUBLE_EQ(Milliseconds{3} / Milliseconds{2}, 1.5);
  Milliseconds total{1};
  total += Milliseconds{2} * 2.0;
  EXPECT_DOUBLE_EQ(total.value, 5);
}

}  // namespace
}  // namespace galvatron
