#include "ferry/base/json_row.h"

#include <algorithm>
#include <charconv>
#include "ferry/base/json.h"

namespace ferry {
namespace {

/// Receives the parser's events. Only the members of the outermost object matter; what lies deeper
/// is skipped here and read again by the few who need it.
class CellFiller {
 public:
  CellFiller(std::span<const std::string_view> names, std::span<Cell> cells)
      : names_(names), cells_(cells) {}

  bool null() {
    return set([](Cell& cell) { cell.kind = Cell::Kind::kAbsent; });
  }
  bool boolean(bool) { return set_other(); }
  bool number_float(double, const std::string&) { return set_other(); }
  bool binary(Json::binary_t&) { return set_other(); }
  bool number_integer(std::int64_t value) { return set_integer(value, false); }
  bool number_unsigned(std::uint64_t value) {
    return set_integer(static_cast<std::int64_t>(value), value > INT64_MAX);
  }
  bool string(std::string& value) {
    return set([&](Cell& cell) {
      cell.kind = Cell::Kind::kString;
      cell.unescaped.swap(value);
      cell.text = cell.unescaped;
    });
  }
  bool start_object(std::size_t) { return ++depth_ == 1 || open_nested(); }
  bool start_array(std::size_t) { return depth_++ != 0 && open_nested(); }
  bool end_object() { return --depth_ >= 0; }
  bool end_array() { return --depth_ >= 0; }

  bool key(std::string& name) {
    if (depth_ != 1) return true;
    // Rows that we wrote have their columns in order.
    if (next_ < names_.size() && names_[next_] == name) {
      current_ = next_++;
      return true;
    }
    const auto found = std::find(names_.begin(), names_.end(), name);
    current_ = static_cast<std::size_t>(found - names_.begin());
    if (found != names_.end()) next_ = current_ + 1;
    has_others_ = has_others_ || found == names_.end();
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const Json::exception&) {
    error_position_ = position;
    return false;
  }

  bool has_others() const { return has_others_; }
  bool is_too_deep() const { return depth_ > kMaxDepth; }
  std::size_t error_position() const { return error_position_; }

 private:
  template <typename Setter>
  bool set(Setter setter) {
    if (depth_ == 0) return false;
    if (depth_ == 1 && current_ < cells_.size()) setter(cells_[current_]);
    return true;
  }
  bool set_integer(std::int64_t value, bool too_large) {
    return set([&](Cell& cell) {
      cell.kind = Cell::Kind::kInteger;
      cell.number = value;
      cell.too_large = too_large;
    });
  }
  bool set_other() {
    return set([](Cell& cell) { cell.kind = Cell::Kind::kOther; });
  }
  bool open_nested() {
    if (depth_ == 2 && current_ < cells_.size()) cells_[current_].kind = Cell::Kind::kOther;
    return !is_too_deep();
  }

  std::span<const std::string_view> names_;
  std::span<Cell> cells_;
  std::size_t current_ = 0;
  std::size_t next_ = 0;
  int depth_ = 0;
  bool has_others_ = false;
  std::size_t error_position_ = 0;
};

bool is_plain(char character) {
  const auto code = static_cast<unsigned char>(character);
  return code >= 0x20 && code < 0x7F && character != '"' && character != '\\';
}

/// Splits rows of the plainest kind, such as most that we write, without the JSON parser, which
/// takes most of the time of loading a large table: known columns in order, no spaces, integers of
/// up to 19 digits, strings of printable ASCII without escapes. False: it is not one; CELLS are
/// void.
bool split_plain_row(std::string_view line, std::span<const std::string_view> names,
                     std::span<Cell> cells) {
  const char* at = line.data();
  const char* const end = at + line.size();
  const auto take = [&](char wanted) {
    if (at == end || *at != wanted) return false;
    ++at;
    return true;
  };
  const auto take_string = [&](std::string_view& text) {
    if (!take('"')) return false;
    const char* const start = at;
    while (at != end && is_plain(*at)) ++at;
    text = {start, static_cast<std::size_t>(at - start)};
    return take('"');
  };
  const auto take_integer = [&](std::int64_t& number) {
    const char* const start = at;
    const auto parsed = std::from_chars(start, end, number);
    at = parsed.ptr;
    const char* const digits = start + (start != end && *start == '-' ? 1 : 0);
    const auto count = at - digits;
    return parsed.ec == std::errc() && count <= 19 && (*digits != '0' || count == 1) &&
           (number != 0 || *start == '0');
  };

  std::size_t next = 0;
  for (bool first = true; !first || take('{'); first = false) {
    std::string_view name;
    if (!take_string(name) || !take(':')) return false;
    while (next < names.size() && names[next] != name) ++next;
    if (next == names.size()) return false;
    Cell& cell = cells[next++];
    std::string_view text;
    if (at != end && *at == '"') {
      if (!take_string(text)) return false;
      cell.kind = Cell::Kind::kString;
      cell.text = text;
    } else {
      if (!take_integer(cell.number)) return false;
      cell.kind = Cell::Kind::kInteger;
    }
    if (take('}')) return at == end;
    if (!take(',')) return false;
  }
  return false;
}

}  // namespace

Result<bool> split_row(std::string_view line, std::span<const std::string_view> names,
                       std::span<Cell> cells) {
  if (split_plain_row(line, names, cells)) return false;
  std::fill(cells.begin(), cells.end(), Cell{});
  CellFiller filler(names, cells);
  if (Json::sax_parse(line.data(), line.data() + line.size(), &filler)) return filler.has_others();
  if (filler.is_too_deep()) {
    return make_error(ErrorKind::kCorrupt, "the row is nested more than {} levels deep", kMaxDepth);
  }
  if (filler.error_position() == 0) {
    return make_error(ErrorKind::kCorrupt, "the row is not a JSON object");
  }
  return make_error(ErrorKind::kCorrupt, "not valid JSON at byte {}", filler.error_position());
}

std::string other_columns(std::string_view line, std::span<const std::string_view> names) {
  Json row = Json::parse(line, nullptr, false);
  if (!row.is_object()) return {};
  for (const std::string_view name : names) row.erase(std::string(name));
  return row.empty() ? std::string() : row.dump();
}

void append_json_string(std::string& out, std::string_view text) {
  if (!std::all_of(text.begin(), text.end(), is_plain)) {
    out += to_text(Json(text));
    return;
  }
  out += '"';
  out += text;
  out += '"';
}

void RowWriter::start_column(std::string_view name) {
  line_ += columns_.empty() ? '{' : ',';
  columns_.push_back(name);
  append_json_string(line_, name);
  line_ += ':';
}

void RowWriter::text(std::string_view name, std::string_view value) {
  start_column(name);
  append_json_string(line_, value);
}

void RowWriter::optional_text(std::string_view name, std::string_view value) {
  if (!value.empty()) text(name, value);
}

void RowWriter::json(std::string_view name, std::string_view value) {
  start_column(name);
  line_ += value;
}

void RowWriter::others(std::string_view object) {
  if (object.empty()) return;
  const Json others = Json::parse(object, nullptr, false);
  if (!others.is_object()) return;
  const std::vector<std::string_view> written = columns_;
  for (const auto& [name, value] : others.items()) {
    if (std::find(written.begin(), written.end(), name) != written.end()) continue;
    json(name, value.dump());
  }
}

void RowWriter::finish() {
  line_ += "}\n";
}

}  // namespace ferry
