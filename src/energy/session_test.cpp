// Sessions on meters that show a load as a function of the real clock.
#include <gtest/gtest.h>
#include <time.h>

#include <atomic>
#include <thread>

#include "energy/host.h"
#include "energy/synthetic.h"

namespace eke::energy {
namespace {

using namespace test;
using namespace std::chrono_literals;

class LoadMeter : public Meter {
 public:
  LoadMeter(std::string name, Load load, Domain domain, Nanoseconds dies_after = Nanoseconds::max())
      : Meter(std::move(name), {std::move(domain)}), load_(std::move(load)), dies_after_(dies_after) {}
  void read(std::span<Reading> out) noexcept override {
    out[0].begin = raw_time();
    const Nanoseconds t = out[0].begin - start_;
    out[0].fault = t > dies_after_ ? Fault::gone : Fault::none;
    out[0].value = shown(load_, domains_[0], std::chrono::duration<double>(t).count(), 0.3);
    out[0].end = raw_time();
  }

 private:
  Load load_;
  Nanoseconds start_ = raw_time(), dies_after_;
};

Domain domain(const char* name, Quantity quantity, std::int64_t resolution, Nanoseconds refresh) {
  Domain d;
  d.name = name;
  d.quantity = quantity;
  d.resolution = resolution;
  d.refresh = refresh;
  d.in_total = true;
  return d;
}

std::vector<std::unique_ptr<Meter>> meters() {
  std::vector<std::unique_ptr<Meter>> all;
  all.push_back(
      std::make_unique<LoadMeter>("counter", constant(12), domain("package", Quantity::energy, 61, 1ms)));
  all.push_back(
      std::make_unique<LoadMeter>("sensor", constant(7), domain("rail", Quantity::power, 1000, 0ns)));
  return all;
}

TEST(Session, OverlappingWindowsKeepTheirBounds) {
  Session session(meters());
  Window outer = session.begin("outer");
  std::this_thread::sleep_for(60ms);
  Window inner = session.begin("inner");
  std::this_thread::sleep_for(120ms);
  inner.end();
  std::this_thread::sleep_for(30ms);
  outer.end();
  for (Window* window : {&outer, &inner}) {
    const WindowResult result = window->result();
    ASSERT_EQ(result.domains.size(), 2u);
    EXPECT_GT(result.seconds, 0.11);
    const double watts[] = {12, 7};
    for (std::size_t i = 0; i < 2; ++i) {
      const DomainEnergy& d = result.domains[i];
      ASSERT_TRUE(d.joules) << d.why_not;
      EXPECT_NEAR(*d.joules, watts[i] * result.seconds, d.bound_j) << d.domain.name;
    }
  }
}

TEST(Session, AReadingFollowsTheEdgesOfAWindowThatBeginsWithTheSession) {
  std::vector<std::unique_ptr<Meter>> slow;
  slow.push_back(
      std::make_unique<LoadMeter>("card", constant(10), domain("gpu", Quantity::energy, 1000, 100ms)));
  Session session(std::move(slow), {.period = 60s});
  Window window = session.begin("first");
  std::this_thread::sleep_for(1s);
  const WindowResult result = window.result();
  ASSERT_TRUE(result.domains.at(0).joules) << result.domains[0].why_not;
  // What is not known is one refresh at either edge, 1 J, and not the energy up to the next reading, 10 J.
  EXPECT_LT(result.domains[0].bound_j, 5);
}

TEST(Session, WindowsFromSeveralThreads) {
  Session session(meters());
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 5; ++k) {
        Window window = session.begin("work");
        std::this_thread::sleep_for(5ms);
        if (window.result().domains[0].joules) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 20);
}

TEST(Session, AMeterThatDiesLeavesTheOthers) {
  std::vector<std::unique_ptr<Meter>> both = meters();
  both.push_back(
      std::make_unique<LoadMeter>("dying", constant(5), domain("usb", Quantity::power, 1, 0ns), 60ms));
  Session session(std::move(both));
  Window window = session.begin("work");
  std::this_thread::sleep_for(250ms);
  const WindowResult result = window.result();
  EXPECT_TRUE(result.domains[0].joules);
  EXPECT_TRUE(result.domains[1].joules);
  EXPECT_FALSE(result.domains[2].joules);
  EXPECT_NE(result.domains[2].why_not.find("gone"), std::string::npos) << result.domains[2].why_not;
}

TEST(Session, TheSamplerStaysWithinItsShare) {
  Session session(meters());
  std::this_thread::sleep_for(1s);
  for (const SamplerCost& cost : session.costs()) {
    EXPECT_LT(cost.cpu_share, 0.01) << cost.meter;
    EXPECT_GT(cost.reads, 5) << cost.meter;
  }
}

// A meter that is expensive to read is read less often.
TEST(Session, AnExpensiveMeterIsReadLessOften) {
  class Busy : public LoadMeter {
   public:
    using LoadMeter::LoadMeter;
    static Nanoseconds cpu_time() {
      timespec t{};
      ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
      return std::chrono::seconds(t.tv_sec) + Nanoseconds(t.tv_nsec);
    }
    void read(std::span<Reading> out) noexcept override {
      for (const Nanoseconds begin = cpu_time(); cpu_time() - begin < 1ms;) {
      }
      LoadMeter::read(out);
    }
  };
  std::vector<std::unique_ptr<Meter>> busy;
  busy.push_back(std::make_unique<Busy>("busy", constant(5), domain("i2c", Quantity::power, 1, 0ns)));
  Session session(std::move(busy));
  std::this_thread::sleep_for(1s);
  EXPECT_GE(session.costs()[0].period, 100ms);
}

TEST(Session, WithoutMetersThereAreNoFigures) {
  Session session({});
  EXPECT_TRUE(session.empty());
  Window window = session.begin("work");
  const WindowResult result = window.result();
  EXPECT_TRUE(result.domains.empty());
  EXPECT_FALSE(total_of(result));
}

DomainEnergy figure(const char* meter, const char* name, std::optional<double> joules, bool in_total) {
  DomainEnergy d;
  d.meter = meter;
  d.domain.name = name;
  d.domain.in_total = in_total;
  d.joules = joules;
  d.mean_w = joules.value_or(0) / 2;
  d.bound_j = 0.5;
  if (!joules) d.why_not = "it died";
  return d;
}

// Peers add psys, package and cores, which contain each other.
TEST(Total, TakesOneLevelOfOneMeter) {
  WindowResult window{"w", 2, {}};
  window.domains = {figure("rapl", "psys", 9.6, true), figure("rapl", "package-0", 4.8, false),
                    figure("rapl", "core", 3, false), figure("nvml", "gpu", 100, true)};
  std::optional<Total> total = total_of(window);
  ASSERT_TRUE(total);
  EXPECT_EQ(total->joules, 9.6);
  EXPECT_EQ(total->formula, "psys");
  window.domains = {figure("rapl", "package-0", 5, true), figure("rapl", "package-1", 7, true)};
  total = total_of(window);
  EXPECT_EQ(total->joules, 12);
  EXPECT_EQ(total->bound_j, 1);
  EXPECT_EQ(total->formula, "package-0 + package-1");
}

TEST(Total, IsNotInvented) {
  WindowResult rails{
      "w", 2, {figure("ina3221", "VDD_GPU_SOC", 1, false), figure("ina3221", "VDD_CPU_CV", 2, false)}};
  EXPECT_FALSE(total_of(rails));
  WindowResult broken{"w", 2, {figure("rapl", "package-0", 1, true), figure("rapl", "package-1", {}, true)}};
  EXPECT_FALSE(total_of(broken));
}

TEST(Idle, IsSubtractedWithItsUncertainty) {
  const WindowResult gross{"work", 2, {figure("m", "d", 20, true)}};
  const WindowResult before{"idle", 2, {figure("m", "d", 4, true)}},
      after{"idle", 2, {figure("m", "d", 6, true)}};
  const WindowResult net = subtract_idle(gross, before, after);
  EXPECT_DOUBLE_EQ(*net.domains[0].joules, 20 - 2.5 * 2);
  // 0.5 of the window, 0.5 J / 2 s of the idle windows, and half of their difference of 1 W, over 2 s.
  EXPECT_DOUBLE_EQ(net.domains[0].bound_j, 0.5 + 2 * 0.25 + 2 * 0.5);
  const WindowResult dead{"idle", 2, {figure("m", "d", {}, true)}};
  const WindowResult unknown = subtract_idle(gross, before, dead);
  EXPECT_FALSE(unknown.domains[0].joules);
  EXPECT_NE(unknown.domains[0].why_not.find("it died"), std::string::npos);
}

}  // namespace
}  // namespace eke::energy
