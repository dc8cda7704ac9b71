// Bars as SVG, for the documents.
#pragma once

#include <string>
#include <vector>

namespace active_master::cli {

struct BarPart {
  std::string name;  // the same name has the same colour in all bars; empty: a gap
  double value = 0;
};

struct Bar {
  std::string label;
  std::vector<BarPart> parts;  // one after the other
};

// Horizontal bars, all to one scale that begins at 0, each with its sum, without gaps; below, what
// the colours mean.
[[nodiscard]] std::string bar_chart(const std::string& title, const std::string& unit,
                                    const std::vector<Bar>& bars);

}  // namespace active_master::cli
