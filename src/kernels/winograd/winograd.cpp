#include "kernels/winograd/registry.h"

namespace eke::kernels {

#define EKE_WINOGRAD(isa)                                          \
  void winograd_input_##isa(const WinogradInputArgs&) noexcept;    \
  void winograd_output_##isa(const WinogradOutputArgs&) noexcept;  \
  void winograd_filter_##isa(const WinogradFilterArgs&) noexcept;  \
  void winograd_gradient_##isa(const WinogradInputArgs&) noexcept; \
  void winograd_taps_##isa(const WinogradTapsArgs&) noexcept;
#include "kernels/winograd/kernels.inc"
#undef EKE_WINOGRAD

namespace {

constexpr WinogradKernel kF32[] = {
#define EKE_WINOGRAD(isa)                          \
  {"winograd_f32_" #isa,  Isa::isa,                \
   winograd_input_##isa,  winograd_output_##isa,   \
   winograd_filter_##isa, winograd_gradient_##isa, \
   winograd_taps_##isa},
#include "kernels/winograd/kernels.inc"
#undef EKE_WINOGRAD
};

}  // namespace

std::span<const WinogradKernel> winograd_kernels() noexcept { return kF32; }

void winograd_weights(const float* g, float (&u)[kWinogradPlaces]) noexcept {
  constexpr double kG[6][3] = {{1.0 / 4, 0, 0},
                               {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                               {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                               {1.0 / 24, 1.0 / 12, 1.0 / 6},
                               {1.0 / 24, -1.0 / 12, 1.0 / 6},
                               {0, 0, 1}};
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j < 6; ++j) {
      double sum = 0;
      for (int r = 0; r < 3; ++r)
        for (int s = 0; s < 3; ++s) sum += kG[i][r] * static_cast<double>(g[r * 3 + s]) * kG[j][s];
      u[i * 6 + j] = static_cast<float>(sum);
    }
}

}  // namespace eke::kernels
