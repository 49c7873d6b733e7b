// Random changes to training images. What is drawn depends on the seed, the epoch and the image alone, never on
// the order or the threads of the work. Plain data; threads may share it.
#pragma once

#include <string>
#include <string_view>

#include "base/random.h"
#include "data/image.h"

namespace eke {

// Everything off by default. Geometry is one affine warp with bilinear sampling; outside, the border repeats.
struct Augmentation {
  float crop = 0;      // a window that keeps at least 1 - crop of the area, anywhere inside, in [0, 1)
  float shift = 0;     // moves by up to this part of the extent, each way, in [0, 1)
  bool flip = false;   // left and right, in half of the images
  float rotation = 0;  // by up to this many degrees, each way, in [0, 180]
  float colour = 0;  // brightness, contrast and saturation by factors in [1 - colour, 1 + colour], in [0, 1)
  float erase = 0;   // part of the images that lose a random rectangle (Zhong et al. 2017), in [0, 1]

  bool any() const noexcept;
  friend bool operator==(const Augmentation&, const Augmentation&) = default;
};

// "none", or names with optional strengths, as in "crop,flip,rotation=10,colour=0.2,shift=0.1,erase=0.5". Throws
// UsageError with the list of what is allowed.
Augmentation parse_augmentation(std::string_view text);
std::string to_string(const Augmentation& augmentation);  // parse_augmentation gives it back

// `image` changed by what `random` draws; the same size and channels.
Image augmented(const Image& image, const Augmentation& how, Random random);

}  // namespace eke
