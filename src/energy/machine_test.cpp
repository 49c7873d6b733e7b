#include "energy/machine.h"

#include <gtest/gtest.h>

#include "energy/fake_host.h"

namespace eke::energy {
namespace {

using test::FakeHost;

TEST(Machine, SaysWhatItCanAndNothingElse) {
  FakeHost host;
  const MachineState nothing = read_machine(host);
  EXPECT_FALSE(nothing.temperature_c || nothing.frequency_mhz || nothing.throttled);
  EXPECT_EQ(nothing.governor + nothing.power_mode, "");
}

TEST(Machine, TakesTheHottestSensorOfTheProcessor) {
  FakeHost host;
  host.set("/sys/class/thermal/thermal_zone0/type", "GPU-therm");
  host.set("/sys/class/thermal/thermal_zone0/temp", "-256000");  // switched off
  host.set("/sys/class/thermal/thermal_zone1/type", "battery");
  host.set("/sys/class/thermal/thermal_zone1/temp", "90000");
  EXPECT_EQ(read_machine(host).temperature_c, 90);
  host.set("/sys/class/thermal/thermal_zone2/type", "CPU-therm");
  host.set("/sys/class/thermal/thermal_zone2/temp", "47500");
  host.set("/sys/class/thermal/thermal_zone10/type", "cpu1-thermal");
  host.set("/sys/class/thermal/thermal_zone10/temp", "48250");
  EXPECT_EQ(read_machine(host).temperature_c, 48.25);
}

TEST(Machine, ClocksGovernorThrottlingAndMode) {
  FakeHost host;
  host.set("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1000000");
  host.set("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil");
  host.set("/sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "2000000");
  host.set("/sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "9000000");
  host.set("/var/lib/nvpmodel/status", "pmode:0002 fmode:quiet");
  host.firmware["get_throttled"] = "throttled=0x50000";
  const MachineState state = read_machine(host);
  EXPECT_EQ(state.frequency_mhz, 1500);
  EXPECT_EQ(state.governor, "schedutil");
  EXPECT_EQ(state.power_mode, "2");
  EXPECT_EQ(state.throttled, 0x50000);
  host.set("/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", "3");
  EXPECT_EQ(read_machine(host).throttled, 3);
}

}  // namespace
}  // namespace eke::energy
