// Every kind of meter on recorded trees of files, and what becomes of bad ones.
#include "energy/meters.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "energy/fake_host.h"
#include "energy/report.h"
#include "energy/series.h"

namespace eke::energy {
namespace {

using test::FakeHost;
using namespace std::chrono_literals;

const std::string kFolder = std::string(EKE_SOURCE_DIR) + "/src/energy/";

FakeHost fixture(const std::string& name) { return FakeHost::load(kFolder + "fixtures/" + name + ".tree"); }

class Fixture : public testing::TestWithParam<const char*> {};

// EKE_UPDATE_GOLDEN=1 writes the texts anew.
TEST_P(Fixture, ListsItsMeters) {
  FakeHost host = fixture(GetParam());
  const std::string text = to_text(report_meters(host, {}, 0s));
  const std::string golden = kFolder + "golden/" + GetParam() + ".txt";
  if (std::getenv("EKE_UPDATE_GOLDEN")) write_file_atomically(golden, text);
  EXPECT_EQ(text, read_file(golden, 1 << 20));
}

INSTANTIATE_TEST_SUITE_P(Machines, Fixture,
                         testing::Values("intel_laptop", "two_socket_server", "amd_desktop", "amd_server",
                                         "agx_orin", "orin_nano", "xavier_nx", "agx_xavier", "jetson_nano",
                                         "raspberry_pi_5", "battery_laptop", "container", "arm_board"),
                         [](const auto& info) { return std::string(info.param); });

std::vector<Reading> readings(Meter& meter) {
  std::vector<Reading> out(meter.domains().size());
  meter.read(out);
  return out;
}

std::optional<std::int64_t> reading(Meter& meter, const std::string& domain) {
  const std::vector<Reading> all = readings(meter);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (meter.domains()[i].name == domain && all[i].fault == Fault::none) return all[i].value;
  }
  return std::nullopt;
}

struct ValueCase {
  const char *fixture, *meter, *domain;
  std::int64_t value;
};

TEST(Meters, ReadInMicrojoulesAndMicrowatts) {
  const ValueCase cases[] = {
      {"intel_laptop", "rapl", "psys", 91562340811},
      {"two_socket_server", "rapl", "package-0", 201234567890},
      {"two_socket_server", "rapl", "package-0/dram", 21234567890},
      {"two_socket_server", "hwmon", "power_meter/power1", 412000000},
      {"amd_server", "hwmon", "amd_energy/Esocket1", 91411873962},
      // mV x mA; a peer takes the mV for the power
      {"agx_orin", "ina3221", "VDD_GPU_SOC", 19136 * 164},
      {"agx_orin", "ina3221", "VDD_CPU_CV", 19120 * 60},
      {"agx_orin", "ina3221", "VDDQ_VDD2_1V8AO", 5000 * 60},
      {"orin_nano", "ina3221", "VDD_IN", 5072 * 976},
      {"xavier_nx", "ina3221", "VDD_SOC", 4936 * 240},
      {"raspberry_pi_5", "pmic", "VDD_CORE", 390000},
      {"battery_laptop", "battery", "BAT0", 9654680},
      {"arm_board", "scmi", "big", 2512345678},
      {"arm_board", "hwmon", "ina226/VIN", 3125000},
  };
  for (const ValueCase& c : cases) {
    SCOPED_TRACE(fmt::format("{} {} {}", c.fixture, c.meter, c.domain));
    FakeHost host = fixture(c.fixture);
    const Probe probe = open_meter(host, c.meter);
    ASSERT_TRUE(probe.meter) << probe.why_not;
    EXPECT_EQ(reading(*probe.meter, c.domain), c.value);
  }
}

std::vector<std::string> total(const Meter& meter) {
  std::vector<std::string> names;
  for (const Domain& d : meter.domains()) {
    if (d.in_total) names.push_back(d.name);
  }
  return names;
}

TEST(Meters, TotalsTakeOneLevel) {
  const auto total_of_fixture = [](const char* name, const char* meter) {
    FakeHost host = fixture(name);
    return total(*open_meter(host, meter).meter);
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(total_of_fixture("intel_laptop", "rapl"), Names({"psys"}));
  EXPECT_EQ(total_of_fixture("two_socket_server", "rapl"),
            Names({"package-1", "package-1/dram", "package-0", "package-0/dram"}));
  EXPECT_EQ(total_of_fixture("orin_nano", "ina3221"), Names({"VDD_IN"}));
  EXPECT_EQ(total_of_fixture("agx_orin", "ina3221"), Names());
  EXPECT_EQ(total_of_fixture("agx_xavier", "ina3221"), Names());
  EXPECT_EQ(total_of_fixture("arm_board", "scmi"), Names({"soc"}));
}

// Peers take "VDD_CPU_GPU_CV" for the CPU because its name begins so. Rails keep their names here.
TEST(Meters, RailsAreRails) {
  FakeHost host = fixture("orin_nano");
  const Probe probe = open_meter(host, "ina3221");
  for (const Domain& d : probe.meter->domains())
    EXPECT_EQ(d.boundary, d.name == "VDD_IN" ? Boundary::module : Boundary::rail) << d.name;
}

TEST(Meters, RelabelledHwmonIsFoundByLabel) {
  FakeHost host = fixture("orin_nano");
  FakeHost moved;
  for (const char* file : {"name", "in1_label", "in1_input", "curr1_input"}) {
    moved.set("/sys/class/hwmon/hwmon7/" + std::string(file),
              host.read("/sys/class/hwmon/hwmon1/" + std::string(file)).text);
  }
  const Probe probe = open_meter(moved, "ina3221");
  ASSERT_TRUE(probe.meter);
  EXPECT_EQ(reading(*probe.meter, "VDD_IN"), 5072 * 976);
}

TEST(Meters, BadFilesAreFaultsNotFigures) {
  struct Case {
    const char* name;
    FileText text;
    Fault fault;
  };
  const Case cases[] = {
      {"EIO", {"", EIO}, Fault::io_error},         {"EAGAIN", {"", EAGAIN}, Fault::again},
      {"unplugged", {"", ENODEV}, Fault::gone},    {"removed", {"", ENOENT}, Fault::gone},
      {"closed", {"", EACCES}, Fault::denied},     {"garbage", {"12x", 0}, Fault::garbage},
      {"empty", {"", 0}, Fault::garbage},          {"too large", {"99999999999999999999", 0}, Fault::garbage},
      {"hexadecimal", {"0x10", 0}, Fault::garbage}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    FakeHost host = fixture("orin_nano");
    const Probe probe = open_meter(host, "ina3221");
    host.script("/sys/class/hwmon/hwmon1/curr1_input", {c.text});
    const std::vector<Reading> all = readings(*probe.meter);
    EXPECT_EQ(all[0].fault, c.fault);
    EXPECT_EQ(all[1].fault, Fault::none);
  }
}

TEST(Meters, ChargingEndsABatteryMeasurement) {
  FakeHost host = fixture("battery_laptop");
  const Probe probe = open_meter(host, "battery");
  ASSERT_TRUE(probe.meter) << probe.why_not;
  host.set("/sys/class/power_supply/BAT0/status", "Charging");
  EXPECT_EQ(readings(*probe.meter)[0].fault, Fault::charging);
}

TEST(Meters, RaplWrapsInAWindow) {
  FakeHost host = fixture("two_socket_server");
  const Probe probe = open_meter(host, "rapl");
  ASSERT_TRUE(probe.meter);
  const Domain& domain = probe.meter->domains()[1];
  ASSERT_EQ(domain.wrap_uj, 65712999613);
  Series series(domain, 100ms);
  const std::int64_t begin = domain.wrap_uj - 500'000;
  for (int i = 0; i <= 10; ++i) {
    host.set(domain.source, std::to_string((begin + i * 100'000) % domain.wrap_uj));
    series.add(readings(*probe.meter)[1]);
    host.advance(100ms);
  }
  const Integral integral = series.integrate(1100ms, 1800ms);
  ASSERT_TRUE(integral.energy_uj) << integral.why_not;
  EXPECT_NEAR(*integral.energy_uj, 700'000, integral.bound_uj);
}

TEST(Meters, PerfCountsWhereItMay) {
  FakeHost host = fixture("amd_desktop");
  // Two events are listed; the CPU counts one of them.
  host.set("/sys/bus/event_source/devices/power/events/energy-psys", "event=0x05");
  host.set("/sys/bus/event_source/devices/power/events/energy-psys.scale", "2.3283064365386962890625e-10");
  host.perf = [](std::uint32_t type, std::uint64_t config, int cpu) {
    EXPECT_EQ(type, 11u);
    EXPECT_EQ(cpu, 0);
    int ends[2];
    if (::pipe(ends) != 0) return -EMFILE;
    for (int i = 0; i < 4; ++i) {
      const std::uint64_t value = config == 5 ? 0 : (std::uint64_t{7} + static_cast<std::uint64_t>(i)) << 32;
      if (::write(ends[1], &value, sizeof(value)) != sizeof(value)) return -EIO;
    }
    ::close(ends[1]);
    return ends[0];
  };
  const Probe probe = open_meter(host, "perf");
  ASSERT_TRUE(probe.meter) << probe.why_not;
  ASSERT_EQ(probe.meter->domains().size(), 1u);
  EXPECT_NE(probe.note.find("energy-psys"), std::string::npos);
  EXPECT_EQ(reading(*probe.meter, "package-0"), 8'000'000);  // 2^32 units are a joule
  host.perf = [](std::uint32_t, std::uint64_t, int) { return -EACCES; };
  EXPECT_NE(open_meter(host, "perf").why_not.find("perf_event_paranoid is 2"), std::string::npos);
}

TEST(Meters, FirmwareOfOtherRaspberriesHasNoCurrents) {
  FakeHost host;
  host.firmware["pmic_read_adc"] = "error=1 error_msg=\"Command not registered\"";
  EXPECT_NE(open_meter(host, "pmic").why_not.find("Raspberry Pi 5"), std::string::npos);
  host.firmware.clear();
  host.firmware_error = EACCES;
  EXPECT_NE(open_meter(host, "pmic").why_not.find("video"), std::string::npos);
}

TEST(Meters, UnknownNamesGetTheList) {
  FakeHost host;
  for (const char* name : {"raple", "", "shelly", "rapl:0", "trace"}) {
    try {
      open_meter(host, name);
      ADD_FAILURE() << name;
    } catch (const UsageError& error) {
      const std::string message = error.what();
      EXPECT_TRUE(message.find("rapl") != std::string::npos || message.find(name) != std::string::npos)
          << message;
    }
  }
}

TEST(Meters, AutoTakesTheFirstThatIsThere) {
  FakeHost orin = fixture("orin_nano");
  std::string why_not;
  EXPECT_EQ(open_meters(orin, {"auto"}, &why_not).at(0)->name(), "ina3221");
  FakeHost container = fixture("container");
  EXPECT_TRUE(open_meters(container, {"auto"}, &why_not).empty());
  EXPECT_NE(why_not.find("rapl: "), std::string::npos);
  EXPECT_NE(why_not.find("nvml: "), std::string::npos);
  EXPECT_THROW(open_meters(container, {"rapl"}), Error);
}

class TraceTest : public testing::Test {
 protected:
  std::string write(const std::string& text) {
    const std::string path = testing::TempDir() + "/eke_trace_" + std::to_string(::getpid()) + ".csv";
    write_file_atomically(path, text);
    return path;
  }
};

TEST_F(TraceTest, PlaysARecordingAndEnds) {
  FakeHost host;
  const std::string path = write("seconds,usb_w,usb_j\n0,2.5,0\n0.5,3.5,1.5\n1.0,2.5,3\n");
  const Probe probe = open_meter(host, "trace:" + path);
  ASSERT_TRUE(probe.meter);
  EXPECT_EQ(probe.meter->domains()[0].origin, Origin::recorded);
  EXPECT_EQ(readings(*probe.meter)[0].value, 2'500'000);
  host.advance(600ms);
  EXPECT_EQ(readings(*probe.meter)[0].value, 3'500'000);
  EXPECT_EQ(readings(*probe.meter)[1].value, 1'500'000);
  host.advance(600ms);
  EXPECT_EQ(readings(*probe.meter)[0].fault, Fault::over);
}

TEST_F(TraceTest, NamesTheLineThatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {{"", "two instants"},
                                                       {"seconds,usb\n0,1\n", "_w"},
                                                       {"time,usb_w\n0,1\n", "header"},
                                                       {"seconds,a_w\n0,1\n", "two"},
                                                       {"seconds,a_w\n1,1\n0,1\n", "line 3"},
                                                       {"seconds,a_w\n0,1,2\n1,1\n", "line 2"},
                                                       {"seconds,a_w\n0,nan\n1,1\n", "line 2"},
                                                       {"seconds,a_w\n0,1e99\n1,1\n", "line 2"}};
  FakeHost host;
  for (const auto& [text, word] : cases) {
    try {
      open_meter(host, "trace:" + write(text));
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  }
}

TEST_F(TraceTest, EstimatesFollowTheLoadAndSayWhatTheyAre) {
  FakeHost host;
  host.set("/proc/stat", "cpu  100 0 50 1000 10 0 0 0 0 0\ncpu0 100 0 50 1000 10 0 0 0 0 0");
  const std::string path =
      write(R"({"name": "my board", "idle_w": 2, "busy_w_per_core": 3, "joules_per_byte": 1e-9})");
  const Probe probe = open_meter(host, "estimate:" + path);
  ASSERT_TRUE(probe.meter) << probe.why_not;
  EXPECT_EQ(probe.meter->domains()[0].origin, Origin::estimated);
  EXPECT_NE(probe.meter->domains()[0].name.find("my board"), std::string::npos);
  EXPECT_NE(probe.note.find("not a measurement"), std::string::npos);
  const std::int64_t before = readings(*probe.meter)[0].value;
  host.advance(1s);
  // Half a second of one core, in ticks.
  host.set("/proc/stat", fmt::format("cpu  {} 0 50 1000 10 0 0 0 0 0", 100 + ::sysconf(_SC_CLK_TCK) / 2));
  probe.meter->moved(1'000'000'000);
  EXPECT_EQ(readings(*probe.meter)[0].value - before, 2'000'000 + 1'500'000 + 1'000'000);
  for (const char* bad :
       {"", "[]", "{}", R"({"name": "x", "idle_w": -1, "busy_w_per_core": 1})",
        R"({"name": "x", "idle_w": 1})", R"({"name": 3, "idle_w": 1, "busy_w_per_core": 1})"}) {
    EXPECT_THROW(open_meter(host, "estimate:" + write(bad)), Error) << bad;
  }
}

}  // namespace
}  // namespace eke::energy
