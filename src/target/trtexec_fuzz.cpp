// Fuzzes what trtexec prints and exports: the first byte says which of it.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "target/trtexec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    switch (data[0]) {
      case 'l': {
        const eke::TrtexecLog log = eke::parse_trtexec_log(text);
        static_cast<void>(eke::failure_of(log));
        for (const std::string& layer : log.on_gpu) static_cast<void>(eke::nodes_of_layer(layer));
        for (const std::string& layer : log.on_dla) static_cast<void>(eke::nodes_of_layer(layer));
        break;
      }
      case 't':
        static_cast<void>(eke::parse_trtexec_times(text));
        break;
      case 'p':
        static_cast<void>(eke::parse_trtexec_profile(text));
        break;
      case 'e':
        static_cast<void>(eke::parse_trtexec_layers(text));
        break;
      default:
        static_cast<void>(eke::parse_trtexec_output(text));
    }
  } catch (const eke::Error&) {
  }
  return 0;
}
