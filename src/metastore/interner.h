// Each distinct string once, under a small number.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace ferry::metastore {

class Interner {
 public:
  using Symbol = std::uint32_t;
  static constexpr Symbol kEmpty = 0;

  Interner() { intern({}); }

  Symbol intern(std::string_view text) {
    if (const auto known = find(text)) return *known;
    const auto symbol = static_cast<Symbol>(texts_.size());
    symbols_.emplace(texts_.emplace_back(text), symbol);
    return symbol;
  }

  std::optional<Symbol> find(std::string_view text) const {
    const auto found = symbols_.find(text);
    if (found == symbols_.end()) return std::nullopt;
    return found->second;
  }

  /// Valid as long as the interner.
  std::string_view operator[](Symbol symbol) const { return texts_[symbol]; }

 private:
  std::deque<std::string> texts_;
  std::unordered_map<std::string_view, Symbol> symbols_;
};

}  // namespace ferry::metastore
