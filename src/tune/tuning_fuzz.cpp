// Tuning files come from other people's machines: no bytes may do more than be refused.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "tune/tuning.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const eke::Tuning tuning =
        eke::tuning_from_json(std::string_view(reinterpret_cast<const char*>(data), size));
    for (const eke::TunedPlan& plan : tuning.plans) plan.choices();
    eke::tuning_from_json(eke::tuning_to_json(tuning));
  } catch (const eke::Error&) {
  }
  return 0;
}
