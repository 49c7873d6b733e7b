// Statistics of measured values: quantiles, intervals, comparisons in pairs. Pure functions of numbers; intervals are
// two-sided 95 % unless said otherwise. Deterministic: the bootstrap draws from a generator of its own.
#pragma once

#include <span>
#include <vector>

namespace eke {

struct Interval {
  double low = 0;
  double high = 0;
};

// Linear between order statistics. `sorted` rises and holds at least one value; 0 <= q <= 1.
double quantile(std::span<const double> sorted, double q);
double median(std::vector<double> values);  // at least one

double mean(std::span<const double> values);                // at least one
double standard_deviation(std::span<const double> values);  // of a sample; 0 for fewer than two

// The 97.5 % point of Student's distribution; degrees >= 1.
double student_t(int degrees);

// Of the mean of independent, roughly normal values (Student). Unbounded for fewer than two.
Interval mean_interval(std::span<const double> values);

// The same for values that were measured one after the other and drift: the widest of Student's interval, of that
// widened by the correlation with the value before (an autoregressive process of order one), and of those of the means
// of four, six and eight blocks (batch means, Schmeiser 1982), in whose spread shows what drifts slowly.
Interval drifting_mean_interval(std::span<const double> values);

// Of the median of any values, by resampling (Efron 1979, percentile method). At least one value.
Interval bootstrap_median_interval(std::span<const double> values, int resamples = 2000);

// How b compares with a where b[i] and a[i] were measured one after the other: the geometric mean of b[i] / a[i], with
// Student's interval on the logarithms. All values are positive; equal counts, at least one.
struct PairedRatio {
  double ratio = 1;
  Interval interval;
  int pairs = 0;
  // The interval does not hold 1.
  bool differs() const noexcept { return interval.low > 1 || interval.high < 1; }
};
PairedRatio paired_ratio(std::span<const double> a, std::span<const double> b);

}  // namespace eke
