// The picture of a plan: a box a block from top to bottom, arrows with the bytes that pass.
#include <fmt/format.h>

#include <algorithm>

#include "base/markup.h"
#include "target/dla_plan.h"

namespace eke {
namespace {

constexpr int kWidth = 720, kBoxWidth = 420, kLeft = 40, kLine = 16, kGap = 44, kMaxLines = 8;

struct Box {
  int top = 0, height = 0;
  std::vector<std::string> lines;
};

std::vector<std::string> lines_of(const DlaPlan& plan, int block) {
  const EngineBlock& b = plan.blocks[static_cast<std::size_t>(block)];
  std::vector<std::string> lines = {fmt::format("{} block {}: {} layers, {:.1f} MMAC", to_string(b.engine),
                                                block + 1, b.nodes, static_cast<double>(b.macs) / 1e6)};
  std::vector<const PlacedNode*> nodes;
  for (const PlacedNode& node : plan.nodes)
    if (node.block == block) nodes.push_back(&node);
  if (b.engine == Engine::dla) {
    lines.push_back(nodes.front()->name + (nodes.size() > 1 ? " ... " + nodes.back()->name : ""));
    return lines;
  }
  for (const PlacedNode* node : nodes) {
    if (lines.size() == kMaxLines) {
      lines.push_back("...");
      break;
    }
    lines.push_back(
        fmt::format("{} ({}): {}", node->name, node->op, node->reasons.empty() ? "" : node->reasons[0]));
  }
  return lines;
}

}  // namespace

std::string to_svg(const DlaPlan& plan, const std::string& title) {
  std::vector<Box> boxes;
  int top = 40;
  for (std::size_t i = 0; i < plan.blocks.size(); ++i) {
    Box box;
    box.lines = lines_of(plan, static_cast<int>(i));
    box.top = top;
    box.height = kLine * static_cast<int>(box.lines.size()) + 12;
    top += box.height + kGap;
    boxes.push_back(std::move(box));
  }
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
      "<defs><marker id=\"tip\" markerWidth=\"8\" markerHeight=\"8\" refX=\"6\" refY=\"3\" orient=\"auto\">"
      "<path d=\"M0,0 L6,3 L0,6 z\" fill=\"#555\"/></marker></defs>\n"
      "<text x=\"{2}\" y=\"24\" font-size=\"14\" font-weight=\"bold\">{3}</text>\n",
      kWidth, top, kLeft, escaped(title));
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const Box& box = boxes[i];
    const bool dla = plan.blocks[i].engine == Engine::dla;
    svg += fmt::format(
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"{}\" stroke=\"#555\"/>\n", kLeft,
        box.top, kBoxWidth, box.height, dla ? "#d9f0d3" : "#fde0c5");
    for (std::size_t l = 0; l < box.lines.size(); ++l) {
      svg += fmt::format("<text x=\"{}\" y=\"{}\"{}>{}</text>\n", kLeft + 8,
                         box.top + kLine * (static_cast<int>(l) + 1), l == 0 ? " font-weight=\"bold\"" : "",
                         escaped(box.lines[l]));
    }
  }
  // Between neighbours straight down, others around on the right side.
  int lane = 0;
  for (const Transition& t : plan.transitions) {
    const Box &from = boxes[static_cast<std::size_t>(t.from)], &to = boxes[static_cast<std::size_t>(t.to)];
    const std::string label = fmt::format("{} ({:.1f} kB)", t.tensor, static_cast<double>(t.bytes) / 1e3);
    const bool next = t.to == t.from + 1;
    const int x = next ? kLeft + 40 : kLeft + kBoxWidth + 14 + 10 * (lane++ % 8);
    const int begin = next ? from.top + from.height : from.top + from.height / 2,
              end = next ? to.top : to.top + to.height / 2;
    const std::string path = next ? fmt::format("M{},{} V{}", x, begin, end - 2)
                                  : fmt::format("M{0},{1} H{2} V{3} H{4}", kLeft + kBoxWidth, begin, x, end,
                                                kLeft + kBoxWidth + 2);
    svg += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"#555\" marker-end=\"url(#tip)\"/>\n", path);
    svg += fmt::format("<text x=\"{}\" y=\"{}\" fill=\"#555\" font-size=\"10\">{}</text>\n", x + 6,
                       next ? (begin + end) / 2 + 4 : begin - 4, escaped(label));
  }
  return svg + "</svg>\n";
}

}  // namespace eke
