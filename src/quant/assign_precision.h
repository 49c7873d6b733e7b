// Which precision each layer gets, from what each costs and how much noise it makes in the network's output. Both are
// taken to add up over the layers, which is why what comes out is to be measured. Pure functions of numbers.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace eke {

struct CostAndNoise {
  double cost = 0, noise = 0;
};

// Of each layer: the precision, as a position among its choices.
using Assignment = std::vector<std::size_t>;

// Of all assignments those that for some price of noise have the least cost and noise together (the lower convex hull of
// the sums), from the cheapest to the most exact; at most `most` (two or more) of them, evenly spread, both ends
// included. Each layer has at least one choice; all values are finite. What a layer cannot have is left out of its
// choices by the caller.
std::vector<Assignment> convex_assignments(std::span<const std::vector<CostAndNoise>> layers,
                                           std::size_t most);

// Those to which no other is equal in cost and noise or better in both, by rising cost; of equals the first.
std::vector<std::size_t> pareto_front(std::span<const CostAndNoise> tried);

}  // namespace eke
