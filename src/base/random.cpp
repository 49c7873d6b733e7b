#include "base/random.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace eke {
namespace {

constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15u;

std::uint64_t mixed(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(std::uint64_t seed, std::uint64_t major, std::uint64_t minor) noexcept
    : state_(mixed(mixed(mixed(seed + kStep) ^ (major + kStep)) ^ (minor + kStep))) {}

std::uint64_t Random::next() noexcept { return mixed(state_ += kStep); }

double Random::uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

double Random::uniform(double lo, double hi) noexcept { return lo + (hi - lo) * uniform(); }

// Of 64 random bits, the bias for counts that fit into memory is below 1e-9.
std::uint64_t Random::below(std::uint64_t count) noexcept { return next() % count; }

double Random::normal() noexcept {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

std::vector<std::size_t> shuffled(std::size_t count, Random random) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

}  // namespace eke
