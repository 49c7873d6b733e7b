#include "learn/fit_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "base/error.h"
#include "learn/lbfgs.h"
#include "learn/ridge.h"

namespace eke {
namespace {

struct KindName {
  HeadKind kind;
  std::string_view name;
};
constexpr KindName kKinds[] = {{HeadKind::linear, "linear"},
                               {HeadKind::ridge, "ridge"},
                               {HeadKind::centroid, "centroid"},
                               {HeadKind::arcface, "arcface"}};

void check_set(const FeatureSet& set) {
  check(set.count > 0 && set.size > 0 && set.classes > 0, "there are no features to fit a head to");
  check(set.values.size() == set.count * set.size && set.labels.size() == set.count,
        "{} numbers and {} labels for {} rows of {}", set.values.size(), set.labels.size(), set.count,
        set.size);
  std::vector<std::size_t> counts(static_cast<std::size_t>(set.classes), 0);
  for (const int label : set.labels) {
    check(label >= 0 && label < set.classes, "label {} is not among the {} classes", label, set.classes);
    ++counts[static_cast<std::size_t>(label)];
  }
  for (std::size_t c = 0; c < counts.size(); ++c)
    check(counts[c] > 0, "class {} has no image to train on", c);
  for (std::size_t i = 0; i < set.values.size(); ++i) {
    check(std::isfinite(set.values[i]),
          "feature {} of image {} is not finite: the network cannot take such input", i % set.size,
          i / set.size);
  }
}

// Mean and reciprocal deviation of each feature; a feature that never changes gets 0.
struct Scaling {
  std::vector<double> mean, factor;
};

Scaling scaling_of(const FeatureSet& set, bool standardize) {
  Scaling s{std::vector<double>(set.size, 0), std::vector<double>(set.size, 1)};
  const auto count = static_cast<double>(set.count);
  for (std::size_t i = 0; i < set.count; ++i) {
    for (std::size_t k = 0; k < set.size; ++k) s.mean[k] += set.row(i)[k] / count;
  }
  if (!standardize) return s;
  std::vector<double> variance(set.size, 0);
  for (std::size_t i = 0; i < set.count; ++i) {
    for (std::size_t k = 0; k < set.size; ++k) {
      const double d = set.row(i)[k] - s.mean[k];
      variance[k] += d * d / count;
    }
  }
  for (std::size_t k = 0; k < set.size; ++k) {
    s.factor[k] = variance[k] > 1e-12 * (s.mean[k] * s.mean[k] + 1e-30) ? 1 / std::sqrt(variance[k]) : 0;
  }
  return s;
}

FeatureSet scaled(const FeatureSet& set, const Scaling& s) {
  FeatureSet out = set;
  for (std::size_t i = 0; i < set.count; ++i) {
    for (std::size_t k = 0; k < set.size; ++k) {
      float& value = out.values[i * set.size + k];
      value = static_cast<float>((value - s.mean[k]) * s.factor[k]);
    }
  }
  return out;
}

FeatureSet of_length_one(const FeatureSet& set) {
  FeatureSet out = set;
  for (std::size_t i = 0; i < set.count; ++i) {
    double squares = 0;
    for (std::size_t k = 0; k < set.size; ++k) squares += double{set.row(i)[k]} * set.row(i)[k];
    const double factor = squares > 0 ? 1 / std::sqrt(squares) : 0;
    for (std::size_t k = 0; k < set.size; ++k) {
      out.values[i * set.size + k] = static_cast<float>(set.row(i)[k] * factor);
    }
  }
  return out;
}

// The head of scaled features as one of the features themselves.
ClassHead unscaled(const std::vector<double>& weights, const std::vector<double>& bias, const Scaling& s) {
  const std::size_t classes = bias.size(), size = s.mean.size();
  ClassHead head{Tensor(DType::f32, {static_cast<std::int64_t>(classes), static_cast<std::int64_t>(size)}),
                 Tensor(DType::f32, {static_cast<std::int64_t>(classes)}), false};
  const auto w = head.weights.mutable_values<float>();
  const auto b = head.bias.mutable_values<float>();
  for (std::size_t c = 0; c < classes; ++c) {
    double shift = bias[c];
    for (std::size_t k = 0; k < size; ++k) {
      const double weight = weights[c * size + k] * s.factor[k];
      w[c * size + k] = static_cast<float>(weight);
      shift -= weight * s.mean[k];
    }
    b[c] = static_cast<float>(shift);
  }
  return head;
}

// Rows are summed in blocks of this size, each by one thread, and the blocks in order: the same at any thread count.
constexpr std::size_t kBlock = 256;

// The mean loss over the rows of a linear classifier `x` (weights, then a bias a class where `with_bias`), with its
// gradient. `row_loss` turns the logits of a row into their gradients and returns its loss.
template <class RowLoss>
double mean_loss(const FeatureSet& set, const std::vector<double>& x, std::vector<double>& gradient,
                 bool with_bias, const Threads& threads, RowLoss&& row_loss) {
  const auto classes = static_cast<std::size_t>(set.classes);
  const std::size_t blocks = (set.count + kBlock - 1) / kBlock;
  std::vector<std::vector<double>> partial(blocks);
  std::vector<double> losses(blocks, 0);
  threads.for_ranges(blocks, [&](std::size_t begin, std::size_t end) {
    std::vector<double> logits(classes);
    for (std::size_t block = begin; block < end; ++block) {
      std::vector<double>& g = partial[block];
      g.assign(x.size(), 0);
      for (std::size_t i = block * kBlock; i < std::min(set.count, (block + 1) * kBlock); ++i) {
        const float* row = set.row(i);
        for (std::size_t c = 0; c < classes; ++c) {
          double sum = with_bias ? x[classes * set.size + c] : 0;
          const double* w = &x[c * set.size];
          for (std::size_t k = 0; k < set.size; ++k) sum += w[k] * row[k];
          logits[c] = sum;
        }
        losses[block] += row_loss(static_cast<std::size_t>(set.labels[i]), logits);
        for (std::size_t c = 0; c < classes; ++c) {
          double* to = &g[c * set.size];
          for (std::size_t k = 0; k < set.size; ++k) to[k] += logits[c] * row[k];
          if (with_bias) g[classes * set.size + c] += logits[c];
        }
      }
    }
  });
  double loss = 0;
  std::fill(gradient.begin(), gradient.end(), 0);
  for (std::size_t block = 0; block < blocks; ++block) {
    loss += losses[block];
    for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] += partial[block][i];
  }
  const auto count = static_cast<double>(set.count);
  for (double& g : gradient) g /= count;
  return loss / count;
}

// Logits become probabilities minus the one-hot label; returns the cross-entropy.
double softmax_gradient(std::size_t label, std::vector<double>& logits) {
  const double most = *std::ranges::max_element(logits);
  double sum = 0;
  const double own = logits[label] - most;
  for (double& value : logits) sum += value = std::exp(value - most);
  for (double& value : logits) value /= sum;
  logits[label] -= 1;
  return std::log(sum) - own;
}

ClassHead fit_linear(const FeatureSet& set, const HeadOptions& options, const Threads& threads) {
  const Scaling scaling = scaling_of(set, true);
  const FeatureSet ready = scaled(set, scaling);
  const auto classes = static_cast<std::size_t>(set.classes);
  const std::size_t weights = classes * set.size;
  const double decay = options.penalty > 0 ? options.penalty : 1e-3;
  std::vector<double> x(weights + classes, 0);
  minimize(
      [&](const std::vector<double>& at, std::vector<double>& gradient) {
        double value = mean_loss(ready, at, gradient, true, threads, softmax_gradient);
        for (std::size_t i = 0; i < weights; ++i) {
          value += decay / 2 * at[i] * at[i];
          gradient[i] += decay * at[i];
        }
        return value;
      },
      x, options.iterations);
  return unscaled({x.begin(), x.begin() + static_cast<std::ptrdiff_t>(weights)},
                  {x.begin() + static_cast<std::ptrdiff_t>(weights), x.end()}, scaling);
}

std::vector<double> centroids(const FeatureSet& directions) {
  std::vector<double> centres(static_cast<std::size_t>(directions.classes) * directions.size, 0);
  for (std::size_t i = 0; i < directions.count; ++i) {
    double* centre = &centres[static_cast<std::size_t>(directions.labels[i]) * directions.size];
    for (std::size_t k = 0; k < directions.size; ++k) centre[k] += directions.row(i)[k];
  }
  return centres;
}

double length_of(const double* v, std::size_t size) {
  double squares = 0;
  for (std::size_t k = 0; k < size; ++k) squares += v[k] * v[k];
  return std::sqrt(squares);
}

ClassHead cosine_head(const std::vector<double>& centres, std::size_t size, double scale) {
  const std::size_t classes = centres.size() / size;
  ClassHead head{
      Tensor(DType::f32, {static_cast<std::int64_t>(classes), static_cast<std::int64_t>(size)}), {}, true};
  const auto w = head.weights.mutable_values<float>();
  for (std::size_t c = 0; c < classes; ++c) {
    const double length = length_of(&centres[c * size], size);
    for (std::size_t k = 0; k < size; ++k) {
      w[c * size + k] = static_cast<float>(length > 0 ? scale * centres[c * size + k] / length : 0);
    }
  }
  return head;
}

// The cosine of the own class becomes cos(angle + margin), continued linearly where the angle would pass pi.
double arcface_gradient(std::size_t label, std::vector<double>& cosines, const HeadOptions& options) {
  const double margin = options.margin, scale = options.scale;
  const double c = std::clamp(cosines[label], -1.0, 1.0), sine = std::sqrt(std::max(1 - c * c, 1e-8));
  const bool inside = c > std::cos(std::numbers::pi - margin);
  const double moved =
      inside ? c * std::cos(margin) - sine * std::sin(margin) : c - margin * std::sin(margin);
  const double slope = inside ? std::cos(margin) + c / sine * std::sin(margin) : 1;
  cosines[label] = moved;
  for (double& value : cosines) value *= scale;
  const double loss = softmax_gradient(label, cosines);
  for (double& value : cosines) value *= scale;
  cosines[label] *= slope;
  return loss;
}

ClassHead fit_arcface(const FeatureSet& set, const HeadOptions& options, const Threads& threads) {
  const FeatureSet directions = of_length_one(set);
  const std::size_t size = set.size;
  std::vector<double> x = centroids(directions);
  const auto normalized = [&](const std::vector<double>& at) {
    std::vector<double> unit = at;
    for (std::size_t c = 0; c < unit.size() / size; ++c) {
      const double length = std::max(length_of(&at[c * size], size), 1e-12);
      for (std::size_t k = 0; k < size; ++k) unit[c * size + k] /= length;
    }
    return unit;
  };
  x = normalized(x);
  minimize(
      [&](const std::vector<double>& at, std::vector<double>& gradient) {
        const std::vector<double> unit = normalized(at);
        const double value = mean_loss(directions, unit, gradient, false, threads,
                                       [&](std::size_t label, std::vector<double>& cosines) {
                                         return arcface_gradient(label, cosines, options);
                                       });
        // Through the division by the length.
        for (std::size_t c = 0; c < at.size() / size; ++c) {
          double along = 0;
          for (std::size_t k = 0; k < size; ++k) along += gradient[c * size + k] * unit[c * size + k];
          const double length = std::max(length_of(&at[c * size], size), 1e-12);
          for (std::size_t k = 0; k < size; ++k) {
            gradient[c * size + k] = (gradient[c * size + k] - along * unit[c * size + k]) / length;
          }
        }
        return value;
      },
      x, options.iterations);
  return cosine_head(x, size, options.scale);
}

ClassHead fit_ridge(const FeatureSet& set, const HeadOptions& options, const Threads& threads) {
  const Scaling scaling = scaling_of(set, false);
  const RidgeFit fit = fit_ridge_weights(scaled(set, scaling), options.penalty, threads);
  return unscaled(fit.weights, fit.bias, scaling);
}

}  // namespace

std::string_view to_string(HeadKind kind) noexcept {
  for (const KindName& row : kKinds) {
    if (row.kind == kind) return row.name;
  }
  return "?";
}

HeadKind parse_head_kind(std::string_view name) {
  std::string allowed;
  for (const KindName& row : kKinds) {
    if (row.name == name) return row.kind;
    allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", row.name);
  }
  throw UsageError(fmt::format("head '{}' is unknown: use one of {}", name, allowed));
}

ClassHead fit_head(const FeatureSet& set, const HeadOptions& options, const Threads& threads) {
  check_set(set);
  switch (options.kind) {
    case HeadKind::ridge:
      return fit_ridge(set, options, threads);
    case HeadKind::centroid:
      return cosine_head(centroids(of_length_one(set)), set.size, options.scale);
    case HeadKind::arcface:
      return fit_arcface(set, options, threads);
    case HeadKind::linear:
      break;
  }
  return fit_linear(set, options, threads);
}

namespace {

// The logits of row i, divided by what a normalized head divides its rows by.
std::vector<double> logits_of(const ClassHead& head, const FeatureSet& set, std::size_t i) {
  const auto w = head.weights.values<float>();
  const std::size_t classes = w.size() / set.size;
  const bool has_bias = head.bias.shape().rank() == 1;
  double length = 1;
  if (head.normalized) {
    double squares = 0;
    for (std::size_t k = 0; k < set.size; ++k) squares += double{set.row(i)[k]} * set.row(i)[k];
    length = std::max(std::sqrt(squares), 1e-12);
  }
  std::vector<double> logits(classes);
  for (std::size_t c = 0; c < classes; ++c) {
    double sum = 0;
    for (std::size_t k = 0; k < set.size; ++k) sum += double{w[c * set.size + k]} * set.row(i)[k];
    logits[c] = sum / length + (has_bias ? head.bias.values<float>()[c] : 0);
  }
  return logits;
}

}  // namespace

int predict(const ClassHead& head, const FeatureSet& set, std::size_t i) {
  const std::vector<double> logits = logits_of(head, set, i);
  return static_cast<int>(std::ranges::max_element(logits) - logits.begin());
}

double mean_margin(const ClassHead& head, const FeatureSet& set) {
  double sum = 0;
  for (std::size_t i = 0; i < set.count; ++i) {
    const std::vector<double> logits = logits_of(head, set, i);
    const double own = logits[static_cast<std::size_t>(set.labels[i])];
    const double all = std::accumulate(logits.begin(), logits.end(), 0.0);
    sum += own - (all - own) / static_cast<double>(logits.size() - 1);
  }
  return sum / static_cast<double>(set.count);
}

std::size_t count_correct(const ClassHead& head, const FeatureSet& set) {
  std::size_t correct = 0;
  for (std::size_t i = 0; i < set.count; ++i) correct += predict(head, set, i) == set.labels[i];
  return correct;
}

}  // namespace eke
