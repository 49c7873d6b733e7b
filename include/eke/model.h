// A network ready to run: load an ONNX model, feed it numbers or an image, get numbers. This is the library's
// public face; it needs no header but this one. The CMake target eke::eke brings the whole library, eke::runtime one
// for devices, with inference alone.
//
//   eke::Model model("model.int8.onnx");
//   std::vector<float> scores = model.run_image("cat.jpg").at(0);
//
// Every failure is a std::exception whose message names the place, the rule and the remedy. A Model is used
// by one thread at a time; it spreads its work over threads of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace eke {

struct ModelOptions {
  int threads = 1;
  std::int64_t batch = 1;  // where the model leaves it open
};

struct TensorInfo {
  std::string name;
  std::string dtype;  // "f32", "u8", ...
  std::vector<std::int64_t> shape;
};

class Model {
 public:
  explicit Model(const std::string& path, const ModelOptions& options = {});
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  const std::vector<TensorInfo>& inputs() const noexcept;
  const std::vector<TensorInfo>& outputs() const noexcept;
  // Class names that the model carries; empty when it carries none.
  const std::vector<std::string>& labels() const noexcept;
  std::size_t memory_bytes() const noexcept;  // activations at the peak and packed weights

  // The whole first input, row-major in its shape; integer inputs get the values rounded and saturated.
  // Returns all outputs, row-major. The model must have one input.
  std::vector<std::vector<float>> run(std::span<const float> input);

  // An image, as a camera or a decoder gives it: rows from top to bottom without gaps, 1 channel of grey or 3 interleaved
  // ones of red, green, blue. Prepared as the model says (eke quantize stores that).
  std::vector<std::vector<float>> run_pixels(std::span<const std::uint8_t> pixels, int width, int height,
                                             int channels);

  // Decodes the image (JPEG, PNG, PGM, PPM, BMP, WebP) and runs its pixels. Not in libeke_runtime, which holds no
  // decoders.
  std::vector<std::vector<float>> run_image(const std::string& path);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace eke
