// Calibration caches come from other tools: any bytes must be understood or refused.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "target/calibration_cache.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto cache = eke::parse_calibration_cache({reinterpret_cast<const char*>(data), size});
    static_cast<void>(eke::to_text(cache));
  } catch (const eke::Error&) {
  }
  return 0;
}
