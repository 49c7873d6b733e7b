// The JSON that models carry: preprocessing and labels. What is read must survive a round trip.
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "data/preprocess.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const eke::Preprocess preprocess = eke::preprocess_from_json(text);
    if (eke::preprocess_from_json(eke::preprocess_to_json(preprocess)) != preprocess) std::abort();
  } catch (const eke::Error&) {
  }
  try {
    const auto labels = eke::labels_from_json(text);
    if (eke::labels_from_json(eke::labels_to_json(labels)) != labels) std::abort();
  } catch (const eke::Error&) {
  }
  return 0;
}
