#include "energy/check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

#include "energy/host.h"
#include "energy/meters.h"
#include "energy/report.h"

namespace eke::energy {
namespace {

using namespace std::chrono_literals;

// Counts a tenth of a joule for each unit of work, and `extra` joules for each time that it is read.
class WorkMeter : public Meter {
 public:
  WorkMeter(const std::atomic<std::int64_t>& done, double extra)
      : Meter("work", {domain()}), done_(done), extra_(extra) {}
  void read(std::span<Reading> out) noexcept override {
    out[0].begin = raw_time();
    out[0].value = done_ * 100'000 + std::llround(1e6 * extra_ * ++reads_);
    out[0].end = raw_time();
  }

 private:
  static Domain domain() {
    Domain d;
    d.name = "package-0";
    d.in_total = true;
    d.resolution = 25'000'000;  // a step of `extra` is no reset
    return d;
  }
  const std::atomic<std::int64_t>& done_;
  double extra_;
  int reads_ = 0;
};

Additivity run(double extra) {
  std::atomic<std::int64_t> done = 0;
  std::vector<std::unique_ptr<Meter>> meters;
  meters.push_back(std::make_unique<WorkMeter>(done, extra));
  Session session(std::move(meters), {.period = 10s});
  const auto work = [&](std::int64_t units) {
    std::this_thread::sleep_for(20ms);  // the sampler reads once after the beginning
    done += units;
  };
  return check_additivity(session, work, 60, 4);
}

TEST(Additivity, HoldsForAMeterThatCounts) {
  const Additivity good = run(0);
  EXPECT_TRUE(good.passed()) << good.ratio << good.why_not;
  EXPECT_NEAR(good.ratio, 1, 0.01);
  EXPECT_EQ(good.pairs, 4);
}

// A meter that charges each window the same on top shows less than twice as much for twice the work.
TEST(Additivity, FailsForAMeterThatChargesWindows) {
  const Additivity bad = run(20);
  EXPECT_TRUE(bad.why_not.empty());
  EXPECT_LT(bad.ratio, 0.9);
}

// Shows the milliseconds of the clock.
class ClockMeter : public Meter {
 public:
  ClockMeter() : Meter("clock", {Domain{}}) {}
  void read(std::span<Reading> out) noexcept override {
    out[0].begin = out[0].end = raw_time();
    out[0].value = out[0].begin / 1ms;
  }
};

// A machine of real files in a folder of the test's own, where work takes joules.
class Tree : public testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::temp_directory_path() / fmt::format("eke_check_{}", ::getpid());
    std::filesystem::create_directories(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  // Replaced, not written over: the sampler reads all the while.
  void put(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root_ / path, part = root_ / "part";
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(part) << text << "\n";
    std::filesystem::rename(part, file);
  }
  Additivity check(const std::string& meter, const std::function<void(std::int64_t)>& work) const {
    RealHost host(root_.string());
    std::vector<std::unique_ptr<Meter>> meters;
    Probe probe = open_meter(host, meter);
    EXPECT_TRUE(probe.meter) << probe.why_not;
    if (!probe.meter) return {};
    meters.push_back(std::move(probe.meter));
    Session session(std::move(meters));
    return check_additivity(session, work, 100, 4);
  }
  std::filesystem::path root_;
};

// The counters of two packages, which wrap during the check; a unit takes 100 mJ in a millisecond.
TEST_F(Tree, TwiceTheWorkOnCountersThatWrap) {
  constexpr std::int64_t kWrap = 262'143'328'850;
  std::int64_t work_uj = 0;
  const auto show = [&] {
    for (int i = 0; i < 2; ++i) {
      const std::string zone = fmt::format("sys/class/powercap/intel-rapl:{}/", i);
      put(zone + "name", fmt::format("package-{}", 1 - i));
      put(zone + "max_energy_range_uj", std::to_string(kWrap));
      put(zone + "energy_uj", std::to_string((kWrap - 5'000'000 + i * 3'000'000 + work_uj / 2) % kWrap));
    }
  };
  for (const double charge_j : {0.0, 10.0}) {
    SCOPED_TRACE(charge_j);
    show();
    const Additivity result = check("rapl", [&](std::int64_t units) {
      work_uj += static_cast<std::int64_t>(charge_j * 1e6);  // for each window, as a meter that lies
      for (std::int64_t u = 0; u < units; u += 10) {
        std::this_thread::sleep_for(10ms);
        work_uj += 1'000'000;
        show();
      }
    });
    // On a busy machine the bounds are wide, and a lie of this size may lie within them: its ratio is still what it is.
    if (charge_j == 0)
      EXPECT_TRUE(result.passed()) << result.ratio;
    else
      EXPECT_LT(result.ratio, 0.9);
    EXPECT_EQ(result.why_not, "");
  }
}

// Rails have no total: the first of them is checked.
TEST_F(Tree, TwiceTheWorkOnRails) {
  const std::string chip = "sys/class/hwmon/hwmon2/";
  put(chip + "name", "ina3221");
  put(chip + "update_interval", "3");
  put(chip + "in1_label", "VDD_CPU_CV");
  put(chip + "in1_input", "5000");
  put(chip + "curr1_input", "800");
  const Additivity result =
      check("ina3221", [](std::int64_t units) { std::this_thread::sleep_for(units * 1ms); });
  EXPECT_TRUE(result.passed()) << result.ratio << " " << result.why_not;
  EXPECT_NEAR(result.ratio, 1, 0.25);  // sleeps last longer on a busy machine
}

TEST_F(Tree, AMeterThatDiesDuringTheCheckSaysSo) {
  const std::string chip = "sys/class/hwmon/hwmon2/";
  put(chip + "name", "ina226");
  put(chip + "power1_input", "4000000");
  const Additivity result = check("hwmon", [&](std::int64_t) {
    std::filesystem::remove(root_ / (chip + "power1_input"));
    std::this_thread::sleep_for(100ms);
  });
  EXPECT_FALSE(result.passed());
  EXPECT_NE(result.why_not.find("gone"), std::string::npos) << result.why_not;
}

TEST(Additivity, SaysWhenThereIsNothingToCompare) {
  Session session({});
  const Additivity none = check_additivity(
      session, [](std::int64_t) {}, 1, 2);
  EXPECT_FALSE(none.passed());
  EXPECT_EQ(none.why_not, "there is no meter");
}

TEST(Timing, MeasuresTheRefresh) {
  ClockMeter meter;
  const MeterTiming timing = time_meter(meter, 200ms);
  ASSERT_TRUE(timing.refresh[0]);
  EXPECT_NEAR(static_cast<double>(timing.refresh[0]->count()), 1e6, 3e5);
  EXPECT_GT(timing.reads, 100);
}

}  // namespace
}  // namespace eke::energy
