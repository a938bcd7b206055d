// The rows of a table, read and parsed: one after the other, or ahead on a thread of their own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "ferry/base/bounded_queue.h"
#include "ferry/base/result.h"
#include "metastore/jsonl/tables/table.h"

namespace ferry::metastore {

/// What a line that is not blank says, or what is wrong with it.
template <typename Row>
struct ParsedRow {
  Result<Row> row;
  std::uint64_t number = 0;  // of the line
  std::uint64_t offset = 0;
};

/// True for text between two line ends that means nothing.
inline bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

template <typename Row>
class ParsedRows {
 public:
  using Parse = Result<Row> (*)(std::string_view line);
  using Taker = std::function<Result<void>(const ParsedRow<Row>& row)>;

  /// Nobody else uses TABLE meanwhile.
  ParsedRows(Table& table, Parse parse_line) : table_(table), parse_(parse_line) {}

  /// Gives TAKER the rows between POSITION and UNTIL until it fails, and advances POSITION.
  Result<void> read(Position& position, std::uint64_t until, const Taker& taker) {
    const auto size = table_.size();
    if (!size) return size.error();
    const std::uint64_t end = std::min(*size, until);
    if (end > position.offset && end - position.offset >= kWorthAThread) {
      if (auto read = read_ahead(position, until, taker)) return *read;
    }
    return read_here(position, until, taker);
  }

 private:
  using Group = std::vector<ParsedRow<Row>>;

  static constexpr std::uint64_t kWorthAThread = 4 << 20;
  static constexpr std::size_t kRowsInGroup = 256;
  static constexpr std::size_t kGroups = 8;

  std::optional<ParsedRow<Row>> parse(const Table::Line& line) const {
    if (line.is_too_long) {
      return ParsedRow<Row>{make_error(ErrorKind::kCorrupt, "the row is too long"), line.number,
                            line.offset};
    }
    if (is_blank(line.text)) return std::nullopt;
    return ParsedRow<Row>{parse_(line.text), line.number, line.offset};
  }

  Result<void> read_here(Position& position, std::uint64_t until, const Taker& taker) {
    Result<void> taken;
    auto read = table_.read(
        position,
        [&](const Table::Line& line) {
          if (!taken) return;
          if (const auto row = parse(line)) taken = taker(*row);
        },
        until);
    return read ? taken : read;
  }

  /// Nothing: there is no thread to be had.
  std::optional<Result<void>> read_ahead(Position& position, std::uint64_t until,
                                         const Taker& taker) {
    BoundedQueue<Group> groups(kGroups);
    BoundedQueue<Group> spent(kGroups);  // whoever filled them empties them, too: it has the memory
    for (std::size_t i = 0; i < kGroups; ++i) spent.push({});
    Result<void> read;
    std::optional<std::thread> parser;
    try {
      parser.emplace([&] {
        read = fill(groups, spent, position, until);
        groups.close();
      });
    } catch (const std::system_error&) {
      return std::nullopt;
    }
    Result<void> taken;
    while (auto group = groups.pop()) {
      for (const ParsedRow<Row>& row : *group) {
        if (taken) taken = taker(row);
      }
      spent.push(std::move(*group));
    }
    parser->join();
    return read ? taken : read;
  }

  Result<void> fill(BoundedQueue<Group>& groups, BoundedQueue<Group>& spent, Position& position,
                    std::uint64_t until) {
    const auto empty_group = [&] {
      Group group = std::move(*spent.pop());
      group.clear();
      return group;
    };
    Group group = empty_group();
    auto read = table_.read(
        position,
        [&](const Table::Line& line) {
          auto row = parse(line);
          if (!row) return;
          group.push_back(std::move(*row));
          if (group.size() < kRowsInGroup) return;
          groups.push(std::move(group));
          group = empty_group();
        },
        until);
    groups.push(std::move(group));
    return read;
  }

  Table& table_;
  Parse parse_;
};

}  // namespace ferry::metastore
