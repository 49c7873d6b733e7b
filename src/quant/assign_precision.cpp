#include "quant/assign_precision.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace eke {
namespace {

// A layer's choice in the place of a cheaper one.
struct Move {
  std::size_t layer, to;
  double price;  // cost for a unit of noise
};

// Choices on the lower convex hull, from the cheapest on.
std::vector<std::size_t> hull(const std::vector<CostAndNoise>& choices) {
  std::vector<std::size_t> kept;
  for (const std::size_t next : pareto_front(choices)) {
    const auto price = [&](std::size_t from, std::size_t to) {
      return (choices[to].cost - choices[from].cost) / (choices[from].noise - choices[to].noise);
    };
    while (kept.size() >= 2 && price(kept[kept.size() - 2], kept.back()) >= price(kept.back(), next))
      kept.pop_back();
    kept.push_back(next);
  }
  return kept;
}

}  // namespace

std::vector<std::size_t> pareto_front(std::span<const CostAndNoise> tried) {
  std::vector<std::size_t> order(tried.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
    return tried[a].cost != tried[b].cost ? tried[a].cost < tried[b].cost : tried[a].noise < tried[b].noise;
  });
  std::vector<std::size_t> front;
  for (const std::size_t i : order) {
    if (front.empty() || tried[i].noise < tried[front.back()].noise) front.push_back(i);
  }
  return front;
}

std::vector<Assignment> convex_assignments(std::span<const std::vector<CostAndNoise>> layers,
                                           std::size_t most) {
  check(most >= 2, "{} assignments are too few: two or more", most);
  Assignment current;
  std::vector<Move> moves;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    check(!layers[layer].empty(), "layer {} has no precision to choose", layer);
    const std::vector<std::size_t> choices = hull(layers[layer]);
    current.push_back(choices.front());
    for (std::size_t i = 1; i < choices.size(); ++i) {
      const CostAndNoise &from = layers[layer][choices[i - 1]], &to = layers[layer][choices[i]];
      moves.push_back({layer, choices[i], (to.cost - from.cost) / (from.noise - to.noise)});
    }
  }
  // Within a layer prices rise, so that its moves stay in order.
  std::ranges::stable_sort(moves, {}, &Move::price);
  const std::size_t count = std::min(most, moves.size() + 1);
  std::vector<Assignment> chosen;
  std::size_t done = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t until = count == 1 ? 0 : (moves.size() * i + (count - 1) / 2) / (count - 1);
    for (; done < until; ++done) current[moves[done].layer] = moves[done].to;
    chosen.push_back(current);
  }
  return chosen;
}

}  // namespace eke
