// Patterns that name nodes to be left in float.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace eke {

// '*' stands for any characters, '?' for one, all else for itself.
bool matches_glob(std::string_view pattern, std::string_view text) noexcept;

// A node's name; of a nameless one, the name of its first output.
std::string_view label(const Graph& graph, const Node& node);

// Per node: the first pattern that matches its label, or "". A pattern that matches no node throws an Error
// that lists the labels nearest to it.
std::vector<std::string> match_nodes(const Graph& graph, const std::vector<std::string>& patterns);

}  // namespace eke
