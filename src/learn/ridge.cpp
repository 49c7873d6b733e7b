#include "learn/ridge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace eke {
namespace {

// Row-major, symmetric or lower triangular.
struct Square {
  std::size_t n = 0;
  std::vector<double> v;
  double* row(std::size_t i) { return v.data() + i * n; }
  const double* row(std::size_t i) const { return v.data() + i * n; }
};

// Four partial sums: what compilers vectorize without changing the order between machines.
double dot(const double* a, const double* b, std::size_t n) {
  double s[4] = {0, 0, 0, 0};
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (std::size_t k = 0; k < 4; ++k) s[k] += a[i + k] * b[i + k];
  }
  for (; i < n; ++i) s[0] += a[i] * b[i];
  return (s[0] + s[1]) + (s[2] + s[3]);
}

// rows * rows^T of an m x k matrix.
Square gram(const std::vector<double>& rows, std::size_t m, std::size_t k, const Threads& threads) {
  Square g{m, std::vector<double>(m * m)};
  threads.for_ranges(m, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      for (std::size_t j = 0; j < m; ++j) g.row(i)[j] = dot(&rows[i * k], &rows[j * k], k);
    }
  });
  return g;
}

// The lower triangle L of g + penalty I = L L^T. False when it is not positive definite.
bool cholesky(const Square& g, double penalty, Square& l) {
  l = {g.n, std::vector<double>(g.n * g.n, 0)};
  for (std::size_t i = 0; i < g.n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      const double rest = g.row(i)[j] + (i == j ? penalty : 0) - dot(l.row(i), l.row(j), j);
      if (i != j) {
        l.row(i)[j] = rest / l.row(j)[j];
      } else if (!(rest > 0)) {
        return false;
      } else {
        l.row(i)[i] = std::sqrt(rest);
      }
    }
  }
  return true;
}

// L^-1, lower triangular.
Square inverse_of_lower(const Square& l, const Threads& threads) {
  // Stored by columns, so that each is contiguous and belongs to one thread.
  Square columns{l.n, std::vector<double>(l.n * l.n, 0)};
  threads.for_ranges(l.n, [&](std::size_t begin, std::size_t end) {
    for (std::size_t c = begin; c < end; ++c) {
      double* x = columns.row(c);
      x[c] = 1 / l.row(c)[c];
      for (std::size_t i = c + 1; i < l.n; ++i) x[i] = -dot(l.row(i) + c, x + c, i - c) / l.row(i)[i];
    }
  });
  return columns;
}

// (g + penalty I)^-1 = L^-T L^-1; with the columns of L^-1 as rows, a Gram matrix.
bool inverse(const Square& g, double penalty, const Threads& threads, Square& out) {
  Square l;
  if (!cholesky(g, penalty, l)) return false;
  out = gram(inverse_of_lower(l, threads).v, g.n, g.n, threads);
  return true;
}

std::vector<double> transposed(const std::vector<double>& m, std::size_t rows, std::size_t columns) {
  std::vector<double> t(m.size());
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) t[j * rows + i] = m[i * columns + j];
  }
  return t;
}

// out[i][c] = sum_k a[i][k] b[c][k]
std::vector<double> product(const std::vector<double>& a, std::size_t rows, const std::vector<double>& b,
                            std::size_t columns, std::size_t k, const Threads& threads) {
  std::vector<double> out(rows * columns);
  threads.for_ranges(rows, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      for (std::size_t c = 0; c < columns; ++c) out[i * columns + c] = dot(&a[i * k], &b[c * k], k);
    }
  });
  return out;
}

class Ridge {
 public:
  Ridge(const FeatureSet& set, const Threads& threads)
      : n_(set.count), d_(set.size), c_(static_cast<std::size_t>(set.classes)), threads_(threads) {
    x_.assign(set.values.begin(), set.values.end());
    xt_ = transposed(x_, n_, d_);
    dual_ = n_ < d_;
    gram_ = dual_ ? gram(x_, n_, d_, threads) : gram(xt_, d_, n_, threads);
    // Targets 1 and -1 without their means, a class a row.
    y_.assign(c_ * n_, -1);
    for (std::size_t i = 0; i < n_; ++i) y_[static_cast<std::size_t>(set.labels[i]) * n_ + i] = 1;
    for (std::size_t c = 0; c < c_; ++c) {
      double* row = &y_[c * n_];
      mean_.push_back(std::accumulate(row, row + n_, 0.0) / static_cast<double>(n_));
      for (std::size_t i = 0; i < n_; ++i) row[i] -= mean_[c];
    }
  }

  // The mean squared leave-one-out error; infinite where the system cannot be solved. Keeps the weights.
  double fit(double penalty, std::vector<double>& weights) const {
    Square inv;
    if (!inverse(gram_, penalty, threads_, inv)) return std::numeric_limits<double>::infinity();
    return dual_ ? fit_dual(inv, weights) : fit_primal(inv, weights);
  }

  const std::vector<double>& mean() const { return mean_; }
  double mean_variance() const {
    double trace = 0;
    for (std::size_t i = 0; i < gram_.n; ++i) trace += gram_.row(i)[i];
    return trace / static_cast<double>(d_);
  }

 private:
  // alpha = G y, residual = alpha_i / G_ii, weights = x^T alpha.
  double fit_dual(const Square& inv, std::vector<double>& weights) const {
    const std::vector<double> alpha = product(y_, c_, inv.v, n_, n_, threads_);
    double error = 0;
    for (std::size_t c = 0; c < c_; ++c) {
      for (std::size_t i = 0; i < n_; ++i) {
        const double residual = alpha[c * n_ + i] / inv.row(i)[i];
        error += residual * residual;
      }
    }
    weights = product(alpha, c_, xt_, d_, n_, threads_);
    return error / static_cast<double>(n_ * c_);
  }

  // weights = G x^T y, residual = (y - x w) / (1 - h_ii).
  double fit_primal(const Square& inv, std::vector<double>& weights) const {
    const std::vector<double> xty = product(y_, c_, xt_, d_, n_, threads_);
    weights = product(xty, c_, inv.v, d_, d_, threads_);
    const std::vector<double> projected = product(x_, n_, inv.v, d_, d_, threads_);
    const std::vector<double> fitted = product(x_, n_, weights, c_, d_, threads_);
    double error = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      const double free = std::max(1 - dot(&projected[i * d_], &x_[i * d_], d_), 1e-9);
      for (std::size_t c = 0; c < c_; ++c) {
        const double residual = (y_[c * n_ + i] - fitted[i * c_ + c]) / free;
        error += residual * residual;
      }
    }
    return error / static_cast<double>(n_ * c_);
  }

  std::size_t n_, d_, c_;
  const Threads& threads_;
  bool dual_ = false;
  std::vector<double> x_, xt_, y_, mean_;
  Square gram_;
};

}  // namespace

RidgeFit fit_ridge_weights(const FeatureSet& centred, double penalty, const Threads& threads) {
  const Ridge ridge(centred, threads);
  RidgeFit best;
  best.bias = ridge.mean();
  if (penalty > 0) {
    best.penalty = penalty;
    check(std::isfinite(ridge.fit(penalty, best.weights)), "the ridge penalty {} is too small: give more",
          penalty);
    return best;
  }
  double least = std::numeric_limits<double>::infinity();
  const double unit = std::max(ridge.mean_variance(), 1e-12);
  for (int exponent = -4; exponent <= 2; ++exponent) {
    std::vector<double> weights;
    const double candidate = unit * std::pow(10.0, exponent), error = ridge.fit(candidate, weights);
    if (error >= least) continue;
    least = error;
    best.weights = std::move(weights);
    best.penalty = candidate;
  }
  check(!best.weights.empty(), "no ridge penalty fits these features: are they all alike?");
  return best;
}

}  // namespace eke
