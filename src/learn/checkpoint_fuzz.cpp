// The reader of checkpoints: whatever the bytes, a Checkpoint or an Error.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "base/hash.h"
#include "learn/checkpoint.h"

namespace {

// Past the sum, which random bytes never match: it is put behind the input.
std::string with_right_sum(std::string bytes) {
  constexpr std::size_t kHead = 15 + 4;
  if (bytes.size() < kHead) return bytes;
  const std::uint64_t hash = eke::hash_bytes(std::string_view(bytes).substr(kHead));
  return bytes.append(reinterpret_cast<const char*>(&hash), 8);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  for (const std::string& input : {bytes, with_right_sum(bytes)}) {
    try {
      const eke::Checkpoint checkpoint = eke::parse_checkpoint(input);
      // What is read is written again as it was, except for names that came twice.
      if (eke::parse_checkpoint(eke::to_bytes(checkpoint)).counters != checkpoint.counters) __builtin_trap();
    } catch (const eke::Error&) {
    }
  }
  return 0;
}
