#include "landing/quarantine/quarantine_note.h"

#include <charconv>
#include "ferry/base/json.h"

#include "landing/watch/ignore.h"

namespace ferry::landing {
namespace {

std::string to_hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

std::optional<std::string> from_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    unsigned value = 0;
    const char* begin = text.data() + at;
    const auto [rest, error] = std::from_chars(begin, begin + 2, value, 16);
    if (error != std::errc{} || rest != begin + 2) return std::nullopt;
    bytes.push_back(static_cast<char>(value));
  }
  return bytes;
}

std::string text_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

std::string to_note(const HeldFile& file) {
  const std::string readable = printable(file.path);
  Json json{{"id", file.id}, {"landing", file.landing}, {"path", readable}};
  if (readable != file.path) json["path_bytes"] = to_hex(file.path);
  json["reason"] = file.reason;
  json["kind"] = file.kind;
  json["since"] = format_timestamp(file.since);
  json["size"] = file.size;
  json["registered"] = file.registered;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::optional<HeldFile> parse_note(std::string_view text) {
  const auto json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  HeldFile file;
  file.id = text_of(json, "id");
  file.landing = text_of(json, "landing");
  file.path = text_of(json, "path");
  if (const std::string bytes = text_of(json, "path_bytes"); !bytes.empty()) {
    const auto path = from_hex(bytes);
    if (!path) return std::nullopt;
    file.path = *path;
  }
  file.reason = text_of(json, "reason");
  file.kind = text_of(json, "kind");
  const auto since = parse_timestamp(text_of(json, "since"));
  if (since) file.since = *since;
  if (const auto size = json.find("size"); size != json.end() && size->is_number_unsigned()) {
    file.size = size->get<std::uint64_t>();
  }
  const auto registered = json.find("registered");
  file.registered = registered != json.end() && *registered == true;
  return file;
}

}  // namespace ferry::landing
