// The NVML meter on a library of the test's own, which is loaded as the real one is.
#include <gtest/gtest.h>

#include "energy/fake_host.h"
#include "energy/meters.h"

namespace eke::energy {
namespace {

TEST(Nvml, CountsEnergyElsePowerElseSaysWhy) {
  test::FakeHost host;
  host.nvml = EKE_FAKE_NVML;
  const Probe probe = open_meter(host, "nvml");
  ASSERT_TRUE(probe.meter) << probe.why_not;
  const std::vector<Domain>& domains = probe.meter->domains();
  ASSERT_EQ(domains.size(), 2u);
  EXPECT_EQ(domains[0].quantity, Quantity::energy);
  EXPECT_EQ(domains[0].source, "Fake H100");
  EXPECT_EQ(domains[1].quantity, Quantity::power);
  // A peer shows 0 for a card that measures nothing.
  EXPECT_NE(probe.note.find("gpu-2"), std::string::npos);
  EXPECT_NE(probe.note.find("Not Supported"), std::string::npos);
  Reading out[2];
  probe.meter->read(out);
  EXPECT_EQ(out[0].fault, Fault::none);
  EXPECT_EQ(out[0].value, 1'001'000'000);  // mJ in uJ, the second read
  EXPECT_EQ(out[1].value, 61'500'000);
  for (int i = 0; i < 5; ++i) probe.meter->read(out);
  EXPECT_EQ(out[0].fault, Fault::gone);
  EXPECT_EQ(out[1].fault, Fault::none);
}

}  // namespace
}  // namespace eke::energy
