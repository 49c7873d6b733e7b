// Images as PNG files, for showing them.
#pragma once

#include <string>

#include "data/image.h"

namespace eke {

// The bytes of a file. Throws for an empty image.
std::string to_png(const Image& image);

}  // namespace eke
