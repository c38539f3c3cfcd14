#include "galvatron/runtime/trace.h"

#include <gtest/gtest.h>

#include "galvatron/plan/traced_step.h"

#include "remembering_device.h"

namespace galvatron::runtime {
namespace {

using namespace galvatron::fake;

std::vector<std::string> names(const Trace& trace) {
  std::vector<std::string> out;
  for (const TraceEvent& event : trace.events()) out.push_back(event.name);
  return out;
}

// A millisecond goes by from one mark to the next.
TEST_F(OnADevice, TimesAreItsOwnAndTheHostWaitsBeforeAndAfterAlone) {
  Trace trace;
  trace.use_device(kDevice);
  trace.enable(true, 7);
  EXPECT_EQ(told().take(), (std::vector<std::string>{"event on stream 0", "host waits"}));
  {
    const Trace::Scope outside(trace, "F0", "forward");  // from 1 to 4 ms
    const auto begin = trace.mark();                     // at 2
    trace.add_wait("all_gather", 0, 0, begin, "ZeRO");   // to 3
  }
  EXPECT_EQ(told().take(), std::vector<std::string>(4, "event on stream 0"));
  trace.enable(false);
  EXPECT_EQ(told().take(), std::vector<std::string>{"host waits"});
  ASSERT_EQ(names(trace), (std::vector<std::string>{"all_gather", "F0"}));
  const TraceEvent &wait = trace.events()[0], &outside = trace.events()[1];
  EXPECT_NEAR(wait.end - wait.start, 1e-3, 1e-9);
  EXPECT_NEAR(outside.end - outside.start, 3e-3, 1e-9);
  EXPECT_NEAR(wait.start - outside.start, 1e-3, 1e-9);
  EXPECT_EQ(wait.step, 7);
}

TEST_F(OnADevice, EventsAreUsedAgain) {
  Trace trace;
  trace.use_device(kDevice);
  for (int step = 0; step < 3; ++step) {
    trace.enable(true, step);
    {
      const Trace::Scope scope(trace, "F0", "forward");
    }
    trace.enable(false);
  }
  ASSERT_EQ(trace.events().size(), 3U);
  for (const TraceEvent& event : trace.events()) EXPECT_NEAR(event.end - event.start, 1e-3, 1e-9);
}

TEST(Trace, OnACpuTimesAreTheHosts) {
  Trace trace;
  trace.use_device(c10::kCPU);
  EXPECT_FALSE(trace.mark());
  trace.enable(true);
  EXPECT_FALSE(trace.mark());
  {
    const Trace::Scope scope(trace, "F0", "forward");
  }
  trace.add_wait("send", 1, 2, std::nullopt, "");
  trace.add_wait("a call", 1, 1 + 1e-6, std::nullopt, "");
  trace.enable(false);
  EXPECT_EQ(names(trace), (std::vector<std::string>{"F0", "send"}));
  EXPECT_EQ(trace.events()[1].category, plan::kWaitInside);
}

}  // namespace
}  // namespace galvatron::runtime
