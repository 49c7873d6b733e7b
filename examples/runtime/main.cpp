// Classifies a picture with the library for devices: runtime_example MODEL.onnx PICTURE.ppm
// The picture stands for what a camera delivers: bytes of red, green and blue, row by row.
#include <eke/model.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>

namespace {

struct Frame {
  int width = 0, height = 0;
  std::vector<std::uint8_t> pixels;
};

Frame read_ppm(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  Frame frame;
  int most = 0;
  file >> magic >> frame.width >> frame.height >> most;
  if (magic != "P6" || frame.width < 1 || frame.height < 1 || frame.width > 8192 || frame.height > 8192)
    throw std::runtime_error("the picture is no binary PPM of up to 8192 x 8192 pixels");
  file.get();
  frame.pixels.resize(std::size_t{3} * static_cast<std::size_t>(frame.width) *
                      static_cast<std::size_t>(frame.height));
  file.read(reinterpret_cast<char*>(frame.pixels.data()), static_cast<std::streamsize>(frame.pixels.size()));
  if (!file) throw std::runtime_error("the picture is cut short");
  return frame;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s MODEL.onnx PICTURE.ppm\n", argv[0]);
    return 2;
  }
  try {
    using Clock = std::chrono::steady_clock;
    const auto ms_since = [](Clock::time_point begin) {
      return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    };
    const auto begin = Clock::now();
    eke::Model model(argv[1]);
    const double load_ms = ms_since(begin);
    const Frame frame = read_ppm(argv[2]);
    const auto start = Clock::now();
    const std::vector<float> scores = model.run_pixels(frame.pixels, frame.width, frame.height, 3).at(0);
    const double run_ms = ms_since(start);
    const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
    std::printf("class %td with %.4f\n", best, static_cast<double>(scores[static_cast<std::size_t>(best)]));
    std::printf("loaded in %.1f ms, run in %.1f ms, %.1f MB for weights and activations\n", load_ms, run_ms,
                static_cast<double>(model.memory_bytes()) / 1e6);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
