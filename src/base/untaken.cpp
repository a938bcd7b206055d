#include "ferry/base/untaken.h"

#include <unistd.h>

#include "ferry/base/text.h"

namespace ferry {

std::string Untaken::to_text() const {
  const std::string about = path.empty() ? message : fmt::format("{}: {}", path, message);
  return escape_controls(fmt::format("{} delivered {} could not be archived or deleted: {}", files,
                                     files == 1 ? "file" : "files", about));
}

Json to_json(const Untaken& untaken) {
  return {{"files", untaken.files},
          {"path", untaken.path},
          {"message", untaken.message},
          {"since", format_timestamp(untaken.since)}};
}

std::optional<Untaken> read_untaken(const fs::path& note) try {
  const auto text = read_file(note);
  if (!text) return std::nullopt;
  const Json json = Json::parse(*text);
  const auto since = parse_timestamp(json.at("since").get<std::string>());
  if (!since) return std::nullopt;
  return Untaken{.files = json.at("files"),
                 .path = json.at("path"),
                 .message = json.at("message"),
                 .since = *since};
} catch (const Json::exception&) {
  return std::nullopt;
}

Result<void> write_untaken(const fs::path& note, Untaken untaken) {
  if (untaken.files == 0) {
    ::unlink(note.c_str());
    return {};
  }
  if (const auto before = read_untaken(note)) untaken.since = before->since;
  return replace_file(note, to_text(to_json(untaken)) + "\n");
}

}  // namespace ferry
