#include "app/report/prometheus.h"
#include "ferry/base/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace ferry::app::prometheus {
namespace {

std::string_view to_string(Type type) {
  return type == Type::kHistogram ? "histogram" : "gauge";
}

std::string label_value(std::string_view value) {
  std::string out;
  for (const char letter : escape_controls(value)) {
    if (letter == '\\' || letter == '"') out.push_back('\\');
    out.push_back(letter);
  }
  return out;
}

}  // namespace

void Exposition::family(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, to_string(type));
}

void Exposition::line(std::string_view suffix, Labels labels, std::string_view bound,
                      double value) {
  std::string inside;
  for (const auto& [name, label] : labels) {
    inside += fmt::format("{}{}=\"{}\"", inside.empty() ? "" : ",", name, label_value(label));
  }
  if (!bound.empty()) inside += fmt::format("{}le=\"{}\"", inside.empty() ? "" : ",", bound);
  if (!inside.empty()) inside = fmt::format("{{{}}}", inside);
  text_ += fmt::format("{}{}{} {}\n", name_, suffix, inside, value);
}

void Exposition::sample(Labels labels, double value) {
  line("", labels, "", value);
}

void Exposition::sample(Labels labels, const Histogram& histogram) {
  std::int64_t below = 0;
  for (std::size_t i = 0; i < Histogram::kBounds.size(); ++i) {
    below += histogram.counts.at(i);
    line("_bucket", labels, fmt::format("{}", Histogram::kBounds.at(i)),
         static_cast<double>(below));
  }
  const auto all = static_cast<double>(below + histogram.counts.back());
  line("_bucket", labels, "+Inf", all);
  line("_sum", labels, "", static_cast<double>(histogram.sum_ms) / 1000);
  line("_count", labels, "", all);
}

}  // namespace ferry::app::prometheus
