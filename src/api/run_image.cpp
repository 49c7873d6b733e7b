// Apart from model.cpp, since it brings the decoders of images along.
#include "data/image.h"
#include "eke/model.h"

namespace eke {

std::vector<std::vector<float>> Model::run_image(const std::string& path) {
  const Image image = read_image(path);
  return run_pixels(image.pixels, image.width, image.height, image.channels);
}

}  // namespace eke
