#include "ferry/transfer/name_template.h"

#include <algorithm>

#include "ferry/base/glob.h"
#include "ferry/base/path.h"
#include "ferry/transfer/control_file.h"
#include "transfer/naming/date_format.h"

namespace ferry::transfer {
namespace {

/// What file systems take, with the suffix of a signature.
constexpr std::size_t kMaxControlNameBytes = 255 - kSignatureSuffix.size();

constexpr std::string_view kDefaultDateFormat = "%Y-%m-%d";
const std::vector<std::string_view> kFileVariables{"path",    "dir", "name", "stem", "ext",
                                                   "landing", "id",  "date", "mtime"};
const std::vector<std::string_view> kControlVariables{"batch_id", "destination", "date"};

struct Split {
  std::string_view before;
  std::string_view after;
};

/// At the last dot, which goes with the extension.
Split split_name(std::string_view name) {
  const auto dot = name.rfind('.');
  if (dot == name.npos || dot == 0) return {name, ""};
  return {name.substr(0, dot), name.substr(dot)};
}

std::string_view value_of(std::string_view variable, const NameTemplate::File& file) {
  const std::string_view name = base_name(file.path);
  const auto [stem, extension] = split_name(name);
  if (variable == "path") return file.path;
  if (variable == "dir") return directory_of(file.path);
  if (variable == "name") return name;
  if (variable == "stem") return stem;
  if (variable == "ext") return extension;
  if (variable == "landing") return file.landing;
  return file.id;
}

std::string uuid_pattern() {
  std::string pattern;
  for (const char letter : std::string_view("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")) {
    pattern += letter == 'x' ? "[0-9a-fA-F]" : "-";
  }
  return pattern;
}

/// TEXT without empty and "." components; nothing if it leads upwards or nowhere.
std::string cleaned_path(std::string_view text) {
  std::string path;
  for (Components names(text); const auto name = names.next();) {
    if (*name == "..") return {};
    if (!name->empty() && *name != ".") path.append(path.empty() ? "" : "/").append(*name);
  }
  return path;
}

}  // namespace

Result<NameTemplate> NameTemplate::for_files(std::string_view text) {
  auto parsed = parse(text, kFileVariables);
  if (!parsed) return parsed;
  if (text.starts_with('/')) {
    return make_error(ErrorKind::kInvalid,
                      "'{}' starts with '/': it is relative to the destination's directory", text);
  }
  const auto example = parsed->render(
      File{.path = "d/n.e", .landing = "l", .id = "i", .date = {}, .mtime = Timestamp{}});
  if (!example) return make_error(ErrorKind::kInvalid, "'{}' is not a usable name", text);
  return parsed;
}

Result<NameTemplate> NameTemplate::for_control_files(std::string_view text) {
  auto parsed = parse(text, kControlVariables);
  if (!parsed) return parsed;
  if (text.find('/') != text.npos) {
    return make_error(ErrorKind::kInvalid, "'{}' has a '/': the directory is control_dir's matter",
                      text);
  }
  constexpr std::string_view kId = "00000000-0000-7000-8000-000000000000";
  const auto example = parsed->render(Batch{.id = kId, .destination = "d", .date = {}});
  if (!example) return example.error();
  return parsed;
}

Result<NameTemplate::Piece> NameTemplate::parse_variable(
    std::string_view word, const std::vector<std::string_view>& variables) {
  const auto colon = word.find(':');
  Piece piece{.is_variable = true, .text = std::string(word.substr(0, colon)), .format = {}};
  if (std::ranges::find(variables, piece.text) == variables.end()) {
    return make_error(ErrorKind::kInvalid, "unknown variable {{{}}}: there are {{{}}}", piece.text,
                      fmt::join(variables, "}, {"));
  }
  if (piece.text == "date" || piece.text == "mtime") {
    piece.format = colon == word.npos ? kDefaultDateFormat : word.substr(colon + 1);
    if (const auto checked = check_date_format(piece.format); !checked) {
      return checked.error().with_context(fmt::format("{{{}}}", word));
    }
  } else if (colon != word.npos) {
    return make_error(ErrorKind::kInvalid, "{{{}}}: only dates take a format", word);
  }
  return piece;
}

Result<NameTemplate> NameTemplate::parse(std::string_view text,
                                         const std::vector<std::string_view>& variables) {
  NameTemplate result;
  result.text_ = text;
  if (has_control_character(text)) {
    return make_error(ErrorKind::kInvalid, "a name cannot have control characters");
  }
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) result.pieces_.push_back({false, std::move(literal), {}});
    literal.clear();
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char letter = text[at];
    if (letter != '{' && letter != '}') {
      literal += letter;
      continue;
    }
    if (at + 1 < text.size() && text[at + 1] == letter) {
      literal += text[++at];
      continue;
    }
    const auto end = text.find('}', at);
    if (letter == '}' || end == text.npos) {
      return make_error(ErrorKind::kInvalid, "'{}': a '{}' without its counterpart", text, letter);
    }
    auto variable = parse_variable(text.substr(at + 1, end - at - 1), variables);
    if (!variable) return variable.error();
    end_literal();
    result.pieces_.push_back(std::move(*variable));
    at = end;
  }
  end_literal();
  return result;
}

bool NameTemplate::has_variables() const {
  return std::ranges::any_of(pieces_, &Piece::is_variable);
}

bool NameTemplate::ends_with(std::string_view end) const {
  return !pieces_.empty() && !pieces_.back().is_variable && pieces_.back().text.ends_with(end);
}

template <typename Value>
std::string NameTemplate::fill(Value value) const {
  std::string text;
  for (const Piece& piece : pieces_) {
    text += piece.is_variable ? value(piece) : piece.text;
  }
  return text;
}

Result<std::string> NameTemplate::render(const File& file) const {
  bool is_known = true;
  const auto value = [&](const Piece& piece) {
    if (piece.text == "date") return format_date(piece.format, file.date);
    if (piece.text != "mtime") return std::string(value_of(piece.text, file));
    is_known = is_known && file.mtime;
    return file.mtime ? format_date(piece.format, *file.mtime) : std::string();
  };
  std::string path = cleaned_path(fill(value));
  if (!is_known) {
    return make_error(ErrorKind::kAbnormal, "'{}': the registry does not know when {} was changed",
                      text_, file.path);
  }
  if (!path.empty()) return path;
  return make_error(ErrorKind::kAbnormal, "'{}' makes no usable remote name of {}", text_,
                    file.path);
}

Result<std::string> NameTemplate::render(const Batch& batch) const {
  std::string name = fill([&](const Piece& piece) {
    if (piece.text == "date") return format_date(piece.format, batch.date);
    return std::string(piece.text == "batch_id" ? batch.id : batch.destination);
  });
  // A destination without a configured name is called by its URL.
  std::ranges::replace(name, '/', '_');
  if (name.size() > kMaxControlNameBytes) {
    return make_error(ErrorKind::kInvalid, "'{}' makes file names of more than {} bytes", text_,
                      kMaxControlNameBytes);
  }
  if (!name.empty() && name != "." && name != "..") return name;
  return make_error(ErrorKind::kInvalid, "'{}' is not a usable file name", text_);
}

std::string NameTemplate::pattern_for(std::string_view destination) const {
  std::string pattern;
  for (const Piece& piece : pieces_) {
    if (!piece.is_variable) {
      pattern += Glob::escaped(piece.text);
    } else if (piece.text == "date") {
      pattern += date_pattern(piece.format);
    } else {
      pattern += piece.text == "batch_id" ? uuid_pattern() : Glob::escaped(destination);
    }
  }
  std::ranges::replace(pattern, '/', '_');
  return pattern;
}

}  // namespace ferry::transfer
