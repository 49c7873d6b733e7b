// The images of learn/testing/halves.h with a network that tells their halves apart, for the tests of this layer.
#pragma once

#include <string>

#include "graph/graph.h"
#include "learn/testing/halves.h"
#include "passes/passes.h"
#include "ptq/judge.h"

namespace eke {

// Two convolutions, the mean of each half of four channels, and a product that compares the halves. Channel 0 is made larger
// by `stretch` and then as small again: with one step for all weights of a layer, nothing of the others is left in the first
// where that is large, and nothing of that one in the second.
inline Graph halves_network(double stretch = 1) {
  const double middle[] = {0.2, 0.3, 0.25, 0.31, 0.22, 0.27, 0.24, 0.29, 0.33, 0.21, 0.26, 0.28};
  std::string first;  // kernels of 3x3 with one weight in the middle
  for (int at = 0; at < 4 * 3 * 9; ++at) {
    const double weight = at % 9 == 4 ? middle[at / 9] : 0;
    first += fmt::format("{}{}", at == 0 ? "" : ",", at / 27 == 0 ? weight * stretch : weight);
  }
  return optimize(
      parse_text("graph \"halves\"\n"
                 "input %x: f32[1,3,8,8]\n"
                 "const %w: f32[4,3,3,3] = [" +
                 first +
                 "]\n"
                 "%c: f32[1,4,8,8] = Conv \"first\" (%x, %w) {pads=[1,1,1,1]}\n"
                 "%r: f32[1,4,8,8] = Relu \"relu\" (%c)\n"
                 "const %m: f32[4,4,1,1] = [" +
                 fmt::format("{}", 1 / stretch) +
                 ",0,0,0,0,1,0,0,0,0,1,0,0,0,0,1]\n"
                 "%d: f32[1,4,8,8] = Conv \"mix\" (%r, %m)\n"
                 "%p: f32[1,4,1,2] = AveragePool \"pool\" (%d) {kernel_shape=[8,4] strides=[8,4]}\n"
                 "%f: f32[1,8] = Flatten \"flat\" (%p)\n"
                 "const %v: f32[2,8] = [1,-1,1,-1,1,-1,1,-1,-1,1,-1,1,-1,1,-1,1]\n"
                 "%y: f32[1,2] = Gemm \"head\" (%f, %v) {transB=1}\n"
                 "output %y\n"));
}

// The images, as parts to calibrate on and to judge by.
struct HalvesParts {
  Halves files;
  Threads threads{1};
  Preprocess how = small_preprocess();
  CalibrationParts parts = hold_back(files.open(), true);

  CalibrationImages calibration(OnProgress progress = {}) const {
    return {parts.calibration, how, threads, std::move(progress)};
  }
  HeldBack held(bool labelled = true) const {
    return held_back_images(*parts.held_back, how, threads, labelled, 0);
  }
};

}  // namespace eke
