#include "client/cli/chart.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace active_master::cli {
namespace {

constexpr int kLabelWidth = 210;
constexpr int kBarWidth = 480;
constexpr int kSumWidth = 90;
constexpr int kRow = 24;
constexpr int kTop = 44;
constexpr int kLegendColumns = 4;

// Told apart also without seeing colours well (Okabe and Ito), and on light and dark paper.
constexpr std::array kColours = {"#0072b2", "#e69f00", "#009e73", "#cc79a7",
                                 "#56b4e9", "#d55e00", "#f0e442", "#999999"};

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '<') {
      result += "&lt;";
    } else if (c == '&') {
      result += "&amp;";
    } else {
      result += c;
    }
  }
  return result;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string text_at(int x, int y, const std::string& text, const char* more = "") {
  return "<text x=\"" + std::to_string(x) + "\" y=\"" + std::to_string(y) + "\"" + more + ">" +
         escaped(text) + "</text>\n";
}

std::string box_at(double x, int y, double width, int height, const std::string& colour,
                   const std::string& title) {
  return "<rect x=\"" + number(x) + "\" y=\"" + std::to_string(y) + "\" width=\"" + number(width) +
         "\" height=\"" + std::to_string(height) + "\" fill=\"" + colour + "\"><title>" +
         escaped(title) + "</title></rect>\n";
}

double sum(const Bar& bar, bool with_gaps) {
  double total = 0;
  for (const BarPart& part : bar.parts) total += with_gaps || !part.name.empty() ? part.value : 0;
  return total;
}

}  // namespace

std::string bar_chart(const std::string& title, const std::string& unit,
                      const std::vector<Bar>& bars) {
  std::vector<std::string> names;
  double longest = 0;
  for (const Bar& bar : bars) {
    longest = std::max(longest, sum(bar, true));
    for (const BarPart& part : bar.parts) {
      if (!part.name.empty() && std::ranges::find(names, part.name) == names.end())
        names.push_back(part.name);
    }
  }
  const auto colour = [&names](const std::string& name) {
    return kColours[static_cast<size_t>(std::ranges::find(names, name) - names.begin()) %
                    kColours.size()];
  };
  const int rows = static_cast<int>(bars.size());
  const int legend_rows = (static_cast<int>(names.size()) + kLegendColumns - 1) / kLegendColumns;
  const int width = kLabelWidth + kBarWidth + kSumWidth;
  const int height = kTop + kRow * (rows + legend_rows) + 16;
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + std::to_string(width) +
                    "\" height=\"" + std::to_string(height) + "\" viewBox=\"0 0 " +
                    std::to_string(width) + " " + std::to_string(height) +
                    "\" font-family=\"sans-serif\" font-size=\"12\">\n"
                    "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n" +
                    text_at(8, 22, title, " font-size=\"15\"");
  int y = kTop;
  for (const Bar& bar : bars) {
    svg += text_at(kLabelWidth - 8, y + 14, bar.label, " text-anchor=\"end\"");
    double x = kLabelWidth;
    for (const BarPart& part : bar.parts) {
      const double length = longest > 0 ? part.value / longest * kBarWidth : 0;
      if (!part.name.empty()) {
        svg += box_at(x, y, length, kRow - 6, colour(part.name),
                      part.name + ": " + number(part.value) + " " + unit);
      }
      x += length;
    }
    svg += text_at(static_cast<int>(x) + 6, y + 14, number(sum(bar, false)) + " " + unit);
    y += kRow;
  }
  y += 10;
  for (size_t i = 0; i < names.size(); ++i) {
    const int x = 8 + static_cast<int>(i % kLegendColumns) * (width / kLegendColumns);
    const int line = y + static_cast<int>(i / kLegendColumns) * kRow;
    svg += box_at(x, line, 14, 14, colour(names[i]), names[i]);
    svg += text_at(x + 20, line + 12, names[i]);
  }
  return svg + "</svg>\n";
}

}  // namespace active_master::cli
