#include "ferry/base/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <span>
#include <utility>

namespace ferry {
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

/// A number with its unit, which may have a decimal point: "1.5".
struct Quantity {
  std::uint64_t number = 0;   // with all its digits
  std::uint64_t divisor = 1;  // a power of ten
  std::string_view unit;      // letters
};

/// Takes the next quantity off the front of TEXT.
std::optional<Quantity> take_quantity(std::string_view& text) {
  constexpr std::size_t kMostDecimals = 6;
  Quantity quantity;
  const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view digits = text.substr(0, end);
  const std::size_t point = std::min(digits.find('.'), digits.size());
  const std::string_view decimals = digits.substr(std::min(point + 1, digits.size()));
  std::string all(digits.substr(0, point));
  const bool is_number = !all.empty() && (point == digits.size() || !decimals.empty()) &&
                         decimals.find('.') == decimals.npos && decimals.size() <= kMostDecimals;
  all += decimals;
  if (!is_number ||
      std::from_chars(all.data(), all.data() + all.size(), quantity.number).ec != std::errc{}) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < decimals.size(); ++i) quantity.divisor *= 10;
  text.remove_prefix(end);
  if (text.starts_with(' ')) text.remove_prefix(1);
  quantity.unit = text.substr(0, text.find_first_of("0123456789 "));
  text.remove_prefix(quantity.unit.size());
  if (text.starts_with(' ')) text.remove_prefix(1);
  return quantity;
}

__extension__ using Wide = unsigned __int128;

/// Rounded down.
std::optional<std::uint64_t> scaled(const Quantity& quantity, std::uint64_t factor) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const auto product = static_cast<Wide>(quantity.number) * factor / quantity.divisor;
  if (product > kMost) return std::nullopt;
  return static_cast<std::uint64_t>(product);
}

const Unit* find_unit(std::span<const Unit> units, std::string_view name) {
  const auto found = std::ranges::find(units, name, &Unit::name);
  return found != units.end() ? &*found : nullptr;
}

/// KiB, K: powers of 1024; KB, as disks are sold: of 1000.
std::optional<std::uint64_t> size_factor(std::string_view name) {
  static constexpr std::array<Unit, 5> kDecimal{{{"TB", 1'000'000'000'000},
                                                 {"GB", 1'000'000'000},
                                                 {"MB", 1'000'000},
                                                 {"KB", 1'000},
                                                 {"kB", 1'000}}};
  if (name.empty() || name == "B") return 1;
  for (const Unit& unit : kSizeUnits) {
    if (name == unit.name || name == unit.name.substr(0, 1)) return unit.factor;
  }
  const Unit* decimal = find_unit(kDecimal, name);
  return decimal != nullptr ? std::optional(decimal->factor) : std::nullopt;
}

/// "1h30m": each unit once, larger ones first.
std::optional<std::uint64_t> read_duration(std::string_view text) {
  std::uint64_t total = 0;
  std::uint64_t last_factor = std::numeric_limits<std::uint64_t>::max();
  do {
    const auto quantity = take_quantity(text);
    const Unit* unit = quantity ? find_unit(kDurationUnits, quantity->unit) : nullptr;
    if (unit == nullptr || unit->factor >= last_factor) return std::nullopt;
    const auto value = scaled(*quantity, unit->factor);
    if (!value || total + *value > static_cast<std::uint64_t>(milliseconds::max().count())) {
      return std::nullopt;
    }
    total += *value;
    last_factor = unit->factor;
  } while (!text.empty());
  return total;
}

}  // namespace

Result<milliseconds> parse_duration(std::string_view text) {
  const auto value = read_duration(text);
  if (!value) {
    return make_error(ErrorKind::kInvalid,
                      "'{}' is not a duration: write 500ms, 2s, 5m, 1h30m or 1d", text);
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
  std::string_view rest = text;
  const auto quantity = take_quantity(rest);
  const auto factor = quantity && rest.empty() ? size_factor(quantity->unit) : std::nullopt;
  const auto value = factor ? scaled(*quantity, *factor) : std::nullopt;
  if (!value) {
    return make_error(ErrorKind::kInvalid,
                      "'{}' is not a size: write 4096, 64KiB, 1.5M (powers of 1024) or 10MB (of "
                      "1000)",
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

}  // namespace ferry
