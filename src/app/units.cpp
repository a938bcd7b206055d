#include "app/units.h"

#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

namespace ferry::app {
namespace {

using std::chrono::milliseconds;

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first: formatting takes the first that divides.
constexpr std::array<Unit, 5> kDurationUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
constexpr std::array<Unit, 4> kSizeUnits{
    {{"TiB", 1ULL << 40}, {"GiB", 1ULL << 30}, {"MiB", 1ULL << 20}, {"KiB", 1ULL << 10}}};

struct Quantity {
  std::uint64_t number = 0;
  std::string_view unit;
};

std::optional<Quantity> split_quantity(std::string_view text) {
  Quantity quantity;
  const char* begin = text.data();
  const char* end = begin + text.size();
  const auto [rest, error] = std::from_chars(begin, end, quantity.number);
  if (error != std::errc{}) return std::nullopt;
  quantity.unit = std::string_view(rest, static_cast<std::size_t>(end - rest));
  if (quantity.unit.starts_with(' ')) quantity.unit.remove_prefix(1);
  return quantity;
}

std::optional<std::uint64_t> scaled(std::uint64_t number, std::uint64_t factor) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (number > kMost / factor) return std::nullopt;
  return number * factor;
}

std::optional<std::uint64_t> duration_factor(std::string_view name) {
  for (const Unit& unit : kDurationUnits) {
    if (unit.name == name) return unit.factor;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> size_factor(std::string_view name) {
  if (name.empty() || name == "B") return 1;
  for (const Unit& unit : kSizeUnits) {
    if (name == unit.name || name == unit.name.substr(0, 1)) return unit.factor;
  }
  return std::nullopt;
}

}  // namespace

Result<milliseconds> parse_duration(std::string_view text) {
  const auto quantity = split_quantity(text);
  const auto factor = quantity ? duration_factor(quantity->unit) : std::nullopt;
  const auto value = factor ? scaled(quantity->number, *factor) : std::nullopt;
  if (!value) {
    return make_error(ErrorKind::kInvalid, "'{}' is not a duration: write 500ms, 2s, 5m, 1h or 1d",
                      text);
  }
  return milliseconds(static_cast<std::int64_t>(*value));
}

std::string format_duration(milliseconds duration) {
  const auto count = static_cast<std::uint64_t>(duration.count());
  if (count == 0) return "0s";
  for (const Unit& unit : kDurationUnits) {
    if (count % unit.factor == 0) return fmt::format("{}{}", count / unit.factor, unit.name);
  }
  return fmt::format("{}ms", count);
}

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto quantity = split_quantity(text);
  const auto factor = quantity ? size_factor(quantity->unit) : std::nullopt;
  const auto value = factor ? scaled(quantity->number, *factor) : std::nullopt;
  if (!value) {
    return make_error(ErrorKind::kInvalid, "'{}' is not a size: write 4096, 64KiB, 4MiB or 1GiB",
                      text);
  }
  return *value;
}

std::string format_size(std::uint64_t bytes) {
  for (const Unit& unit : kSizeUnits) {
    if (bytes != 0 && bytes % unit.factor == 0) {
      return fmt::format("{}{}", bytes / unit.factor, unit.name);
    }
  }
  return fmt::to_string(bytes);
}

std::string human_size(double bytes) {
  static constexpr std::array<std::string_view, 6> kNames{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t index = 0;
  while (bytes >= 1024 && index + 1 < kNames.size()) {
    bytes /= 1024;
    ++index;
  }
  return index == 0 ? fmt::format("{:.0f} B", bytes)
                    : fmt::format("{:.1f} {}", bytes, kNames[index]);
}

std::string human_duration(milliseconds duration) {
  const std::int64_t seconds = duration.count() / 1000;
  if (seconds < 60) return fmt::format("{:.1f}s", static_cast<double>(duration.count()) / 1000);
  if (seconds < 3600) return fmt::format("{}m {}s", seconds / 60, seconds % 60);
  if (seconds < 86'400) return fmt::format("{}h {}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d {}h", seconds / 86'400, seconds / 3600 % 24);
}

}  // namespace ferry::app
