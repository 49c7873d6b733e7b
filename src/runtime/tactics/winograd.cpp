#include "runtime/tactics/winograd.h"

#include <memory>

#include "runtime/tactics/winograd_tiles.h"

namespace eke {
namespace {

using kernels::kWinogradPlaces;

const op::Conv& conv_of(const Query& query) { return std::get<op::Conv>(query.node.op); }

Geometry geometry_of(const Query& query) {
  return window_geometry(window_attributes(conv_of(query)), query.in(0).shape,
                         query.in(1).shape.dims().subspan(2));
}

class WinogradStep : public Step {
 public:
  explicit WinogradStep(const Query& query)
      : tiles_(query.isa, geometry_of(query), query.in(0).shape, query.out().shape[1]),
        channels_(query.out().shape[1]),
        pixel_(query.pixel_channels != 0 ? query.pixel_channels : channels_),
        epilogue_(query, channels_, conv_of(query).clamp) {
    pack(*query.constant(1), F32::select(query.isa));
  }

  std::size_t scratch_bytes(int threads) const noexcept override {
    return static_cast<std::size_t>(threads) * tiles_.scratch_bytes();
  }
  std::size_t weight_bytes() const noexcept override { return weights_.size() * sizeof(float); }

  void run(const StepArgs& args) const noexcept override {
    WinogradTarget target{.bias = epilogue_.bias.data(),
                          .slope = epilogue_.slope.empty() ? nullptr : epilogue_.slope.data(),
                          .out = reinterpret_cast<float*>(args.out[0]),
                          .pixel = pixel_,
                          .residual_pixel = channels_,
                          .lo = epilogue_.lo,
                          .hi = epilogue_.hi};
    if (args.in_count > 4) target.residual = reinterpret_cast<const float*>(args.in[4]);
    const auto count = static_cast<std::size_t>(args.threads->count());
    args.threads->for_ranges(count, [&](std::size_t begin, std::size_t end) {
      for (std::size_t thread = begin; thread < end; ++thread)
        tiles_.run(args.in[0], weights_.data(), place_, channels_, target,
                   share(tiles_.count(), static_cast<std::int64_t>(thread), static_cast<std::int64_t>(count)),
                   args.scratch + thread * tiles_.scratch_bytes());
    });
  }

 private:
  void pack(const Tensor& weights, const F32::Kernel& kernel) {
    const auto w = weights.values<float>();
    const auto in = static_cast<std::size_t>(weights.shape()[1]), out = static_cast<std::size_t>(channels_);
    const std::size_t place = kernels::packed_bytes(kernel, out, 1, in) / sizeof(float);
    place_ = static_cast<std::ptrdiff_t>(place);
    weights_.resize(kWinogradPlaces * place + kernels::kSlackBytes);
    std::vector<std::vector<float>> places(kWinogradPlaces, std::vector<float>(out * in));
    for (std::size_t i = 0; i < out * in; ++i) {
      float u[kWinogradPlaces];
      kernels::winograd_weights(w.data() + 9 * i, u);
      for (std::size_t p = 0; p < kWinogradPlaces; ++p) places[p][i] = u[p];
    }
    for (std::size_t p = 0; p < kWinogradPlaces; ++p) {
      kernels::pack(kernel, out, 1, in, places[p].data(), weights_.data() + p * place);
      places[p] = {};
    }
  }

  WinogradTiles tiles_;
  std::int64_t channels_, pixel_;
  FloatEpilogue epilogue_;
  LineVector<float> weights_;  // [36][place_]
  std::ptrdiff_t place_ = 0;
};

}  // namespace

// Few tiles do not pay for the larger weights, few channels not for the transforms.
bool is_winograd_conv(const Query& query) {
  constexpr std::int64_t kLeastTiles = 12;
  if (query.in(0).shape.rank() != 4 || !is_float_product(query)) return false;
  if (query.out().shape.count() == 0 || query.in(0).shape.count() >= (std::int64_t{1} << 30)) return false;
  const Geometry geometry = geometry_of(query);
  return conv_of(query).group == 1 &&
         is_winograd_window(geometry, query.in(0).shape[1], query.out().shape[1]) &&
         WinogradTiles::count(geometry, query.in(0).shape[0]) >= kLeastTiles;
}

Prepared prepare_winograd(const Query& query) {
  return {std::make_unique<WinogradStep>(query), std::string(kernels::select_winograd(query.isa).name)};
}

}  // namespace eke
