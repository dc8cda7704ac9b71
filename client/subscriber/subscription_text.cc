// The rules of a proxy in words and as a diagram, and what it does not react to, with the reason.
#include <array>

#include "client/subscriber/subscription.h"

namespace active_master::client {

using enum State;

// What can come: a pause, an activation, and the handler's two answers.
std::span<const Ignored> ignored() {
  static constexpr std::array kIgnored{
      Ignored{kStarting, "the handler holds", "it was asked for nothing yet"},
      Ignored{kStarting, "the handler has opened", "it was asked for nothing yet"},
      Ignored{kClosed, "the handler holds", "it was asked for nothing"},
      Ignored{kClosed, "the handler has opened", "it was asked for nothing"},
      Ignored{kOpening, "the handler holds", "it was asked to open since"},
      Ignored{kOpen, "the handler holds", "it was asked to open since"},
      Ignored{kOpen, "the handler has opened", "it said so"},
      Ignored{kHolding, "the handler has opened", "it was asked to hold since"},
      Ignored{kHeld, "the handler holds", "it said so"},
      Ignored{kHeld, "the handler has opened", "it was asked to hold since"},
  };
  return kIgnored;
}

std::string rules_as_markdown() {
  std::string text =
      "| rule | state | when | then | next state | why |\n"
      "| --- | --- | --- | --- | --- | --- |\n";
  for (const auto& rule : Subscription::rules()) {
    text += "| " + std::to_string(rule.number) + " | " + std::string(to_string(rule.from)) + " | " +
            std::string(rule.condition) + " | " + std::string(rule.action) + " | " +
            std::string(to_string(rule.to)) + " | " + std::string(rule.reason) + " |\n";
  }
  return text;
}

std::string ignored_as_markdown() {
  std::string text = "| state | ignores | because |\n| --- | --- | --- |\n";
  for (const auto& row : ignored()) {
    text += "| " + std::string(to_string(row.in)) + " | " + std::string(row.what) + " | " +
            std::string(row.why) + " |\n";
  }
  return text;
}

std::string rules_as_mermaid() {
  std::string text = "```mermaid\nstateDiagram-v2\n  [*] --> STARTING\n";
  for (const auto& rule : Subscription::rules()) {
    text += "  " + std::string(to_string(rule.from)) + " --> " + std::string(to_string(rule.to)) +
            ": " + std::to_string(rule.number) + "\n";
  }
  return text + "```\n";
}

}  // namespace active_master::client
