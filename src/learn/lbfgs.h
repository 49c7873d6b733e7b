// Limited-memory BFGS with backtracking (Nocedal and Wright, Numerical Optimization, algorithm 7.5): the minimum of a
// smooth function. Deterministic; the function decides on threads.
#pragma once

#include <functional>
#include <vector>

namespace eke {

// The value at x; writes the gradient.
using Objective = std::function<double(const std::vector<double>& x, std::vector<double>& gradient)>;

// Improves x until the gradient's length falls below `tolerance` times that of the start, or `iterations` are done.
// Returns the value there.
double minimize(const Objective& objective, std::vector<double>& x, int iterations, double tolerance = 1e-5);

}  // namespace eke
