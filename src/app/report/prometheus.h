// The text format in which Prometheus reads metrics
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "ferry/base/histogram.h"

namespace ferry::app::prometheus {

using Label = std::pair<std::string_view, std::string_view>;  // the value may be any text
using Labels = std::initializer_list<Label>;

enum class Type : std::uint8_t { kGauge, kHistogram };

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
