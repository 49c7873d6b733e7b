// .npy arrays from arbitrary bytes. What is read must survive a round trip.
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "data/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const eke::Tensor tensor = eke::parse_npy(std::as_bytes(std::span(data, size)), "fuzz");
    const std::string bytes = eke::to_npy(tensor.view());
    if (!(eke::parse_npy(std::as_bytes(std::span(bytes)), "again") == tensor)) std::abort();
  } catch (const eke::Error&) {
  }
  return 0;
}
