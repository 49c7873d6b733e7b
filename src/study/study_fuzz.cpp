// A study is a file that somebody wrote: no bytes may do more than be refused.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "study/study.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const eke::study::Study study =
        eke::study::parse_study(std::string(reinterpret_cast<const char*>(data), size), "/study");
    eke::study::cells_of(study, "/models");
  } catch (const eke::Error&) {
  }
  return 0;
}
