#include "transfer/after_delivery/take_away_lines.h"

#include <optional>

#include "ferry/base/json.h"

namespace ferry::transfer {
namespace {

std::optional<std::string> text_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

std::optional<TakeAway> parse(std::string_view line) {
  const auto json = Json::parse(line, nullptr, false);
  if (!json.is_object() || !json.contains("file")) return std::nullopt;
  auto file = metastore::parse_file_record(to_text(json["file"]));
  const auto archive = text_of(json, "archive");
  const auto private_name = text_of(json, "private_name");
  const bool is_name = private_name && private_name->find('/') == std::string::npos;
  if (!file || !archive || !is_name) return std::nullopt;
  return TakeAway{.file = std::move(*file), .archive = *archive, .private_name = *private_name};
}

}  // namespace

std::string to_lines(std::span<const TakeAway> files) {
  std::string text;
  for (const TakeAway& what : files) {
    if (!text.empty()) text += '\n';
    text += to_text(Json{{"file", Json::parse(metastore::to_line(what.file))},
                         {"archive", what.archive},
                         {"private_name", what.private_name}});
  }
  return text;
}

std::vector<TakeAway> parse_take_aways(std::string_view text) {
  std::vector<TakeAway> files;
  for (auto end = text.find('\n'); end != text.npos; end = text.find('\n')) {
    if (auto what = parse(text.substr(0, end))) files.push_back(std::move(*what));
    text.remove_prefix(end + 1);
  }
  return files;
}

}  // namespace ferry::transfer
