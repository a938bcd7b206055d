#include "landing/quarantine/release_mark.h"

#include <fmt/format.h>

#include "ferry/base/json.h"

namespace ferry::landing {

std::string release_mark_name(const FileIdentity& identity) {
  return fmt::format("{:x}-{:x}-{:x}-{:x}{}", identity.device, identity.inode, identity.size,
                     static_cast<std::uint64_t>(identity.mtime_ns), kReleaseMarkSuffix);
}

std::string to_text(const ReleaseMark& mark) {
  return ferry::to_text(Json{{"id", mark.id},
                             {"path", mark.path},
                             {"checksum", mark.checksum.to_string()},
                             {"reason", mark.reason}}) +
         "\n";
}

std::optional<ReleaseMark> parse_release_mark(std::string_view text) {
  const auto json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto text_of = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
  };
  const auto checksum = Checksum::parse(text_of("checksum"));
  if (!checksum) return std::nullopt;
  return ReleaseMark{text_of("id"), text_of("path"), *checksum, text_of("reason")};
}

}  // namespace ferry::landing
