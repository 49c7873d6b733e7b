#include "learn/lbfgs.h"

#include <cmath>
#include <cstddef>
#include <deque>
#include <utility>

namespace eke {
namespace {

constexpr std::size_t kMemory = 8;
constexpr int kHalvings = 30;
constexpr double kSufficient = 1e-4;

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

struct Pair {
  Vector s, y;  // steps of x and of the gradient
  double rho;
};

// The direction of descent: the two-loop recursion.
Vector direction(const std::deque<Pair>& pairs, const Vector& gradient) {
  Vector q = gradient;
  std::vector<double> alpha(pairs.size());
  for (std::size_t k = pairs.size(); k-- > 0;) {
    alpha[k] = pairs[k].rho * dot(pairs[k].s, q);
    for (std::size_t i = 0; i < q.size(); ++i) q[i] -= alpha[k] * pairs[k].y[i];
  }
  if (!pairs.empty()) {
    const Pair& last = pairs.back();
    const double gamma = 1 / (last.rho * dot(last.y, last.y));
    for (double& value : q) value *= gamma;
  }
  for (std::size_t k = 0; k < pairs.size(); ++k) {
    const double beta = alpha[k] - pairs[k].rho * dot(pairs[k].y, q);
    for (std::size_t i = 0; i < q.size(); ++i) q[i] += beta * pairs[k].s[i];
  }
  for (double& value : q) value = -value;
  return q;
}

}  // namespace

double minimize(const Objective& objective, std::vector<double>& x, int iterations, double tolerance) {
  Vector gradient(x.size()), next(x.size()), next_gradient(x.size());
  double value = objective(x, gradient);
  const double target = tolerance * std::sqrt(dot(gradient, gradient));
  std::deque<Pair> pairs;
  for (int iteration = 0; iteration < iterations; ++iteration) {
    const double length = std::sqrt(dot(gradient, gradient));
    if (!(length > target)) break;
    const Vector step = direction(pairs, gradient);
    const double slope = dot(step, gradient);
    double t = pairs.empty() ? 1 / length : 1, next_value = value;
    bool found = false;
    for (int halving = 0; halving < kHalvings && !found; ++halving, t /= 2) {
      for (std::size_t i = 0; i < x.size(); ++i) next[i] = x[i] + t * step[i];
      next_value = objective(next, next_gradient);
      found = next_value <= value + kSufficient * t * slope;
    }
    if (!found) break;
    Pair pair{Vector(x.size()), Vector(x.size()), 0};
    for (std::size_t i = 0; i < x.size(); ++i) {
      pair.s[i] = next[i] - x[i];
      pair.y[i] = next_gradient[i] - gradient[i];
    }
    const double curvature = dot(pair.s, pair.y);
    if (curvature > 0) {
      pair.rho = 1 / curvature;
      pairs.push_back(std::move(pair));
      if (pairs.size() > kMemory) pairs.pop_front();
    }
    x.swap(next);
    gradient.swap(next_gradient);
    value = next_value;
  }
  return value;
}

}  // namespace eke
