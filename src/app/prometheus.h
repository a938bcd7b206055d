// The text format in which Prometheus reads metrics
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace ferry::app::prometheus {

using Label = std::pair<std::string_view, std::string_view>;  // the value may be any text
using Labels = std::initializer_list<Label>;

enum class Type : std::uint8_t { kGauge, kHistogram };

/// How many values lay at or below each of a few bounds, in seconds.
class Histogram {
 public:
  static constexpr std::array<double, 8> kBounds{0.1, 1, 10, 60, 300, 1800, 7200, 86400};

  void add(double seconds);

 private:
  friend class Exposition;

  std::array<std::uint64_t, kBounds.size() + 1> counts_{};  // the last: above all bounds
  double sum_ = 0;
};

/// Builds a page, family after family.
class Exposition {
 public:
  /// Starts a family; all of its samples follow before the next begins.
  void family(std::string_view name, Type type, std::string_view help);
  void sample(Labels labels, double value);
  void sample(Labels labels, const Histogram& histogram);

  const std::string& text() const { return text_; }

 private:
  void line(std::string_view suffix, Labels labels, std::string_view bound, double value);

  std::string name_;
  std::string text_;
};

}  // namespace ferry::app::prometheus
