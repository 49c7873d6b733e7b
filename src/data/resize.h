// Resizing as Pillow does it (Image.resize with BILINEAR, libImaging/Resample.c): a triangle filter whose
// support grows with the reduction, applied in two passes of 8-bit data with 22-bit fixed-point weights.
#pragma once

#include "data/image.h"

namespace eke {

// Throws when a target extent is not positive or the result is above kMaxImagePixels.
Image resize_bilinear(const Image& image, int width, int height);

// The part of `image` with its upper left corner at (x, y). Throws when the part is not inside.
Image crop(const Image& image, int x, int y, int width, int height);

// Pillow's convert("L") (ITU-R 601-2, 16-bit fixed point); a grey image is returned as it is.
Image to_grey(const Image& image);

}  // namespace eke
