#include "quant/keep.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"

namespace eke {
namespace {

// Levenshtein's edit distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::string nearest_labels(const Graph& graph, std::string_view pattern) {
  constexpr std::size_t kShown = 5;
  std::string literal(pattern);
  std::erase_if(literal, [](char c) { return c == '*' || c == '?'; });
  std::vector<std::pair<std::size_t, std::string_view>> near;
  for (const Node& node : graph.nodes)
    near.emplace_back(distance(literal, label(graph, node)), label(graph, node));
  std::ranges::sort(near);
  std::vector<std::string> quoted;
  for (const auto& [d, name] : near) {
    if (quoted.size() < kShown) quoted.push_back(fmt::format("'{}'", name));
  }
  return fmt::format("{}", fmt::join(quoted, ", "));
}

}  // namespace

bool matches_glob(std::string_view pattern, std::string_view text) noexcept {
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::string_view label(const Graph& graph, const Node& node) {
  if (!node.name.empty()) return node.name;
  for (const ValueId id : node.out) {
    if (id != kNoValue) return graph[id].name;
  }
  return "";
}

std::vector<std::string> match_nodes(const Graph& graph, const std::vector<std::string>& patterns) {
  std::vector<std::string> matched(graph.nodes.size());
  for (const std::string& pattern : patterns) {
    bool any = false;
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      if (!matches_glob(pattern, label(graph, graph.nodes[n]))) continue;
      any = true;
      if (matched[n].empty()) matched[n] = pattern;
    }
    check(any, "no node matches '{}'; the nearest are {}", pattern, nearest_labels(graph, pattern));
  }
  return matched;
}

}  // namespace eke
