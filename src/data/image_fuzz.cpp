// All image decoders on arbitrary bytes: an Image that is consistent, or an Error.
#include <cstdlib>

#include "base/error.h"
#include "data/image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    // The limit keeps runs fast; it is the same code at any limit.
    const eke::Image image = eke::decode_image(std::as_bytes(std::span(data, size)), "fuzz", 1 << 20);
    const bool consistent =
        image.width > 0 && image.height > 0 && (image.channels == 1 || image.channels == 3) &&
        image.pixels.size() == std::size_t{1} * image.width * image.height * image.channels;
    if (!consistent) std::abort();
  } catch (const eke::Error&) {
  }
  return 0;
}
