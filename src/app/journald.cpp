#include "app/journald.h"

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "ferry/base/result.h"

namespace ferry::app {
namespace {

int priority_of(log::Level level) {
  switch (level) {
    case log::Level::kDebug:
      return LOG_DEBUG;
    case log::Level::kInfo:
      return LOG_INFO;
    case log::Level::kWarning:
      return LOG_WARNING;
    default:
      return LOG_ERR;
  }
}

std::string field_name(std::string_view key) {
  if (key == "id") return "FERRY_FILE_ID";
  std::string name = "FERRY_";
  for (const char c : key) {
    const bool lower = c >= 'a' && c <= 'z';
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += lower ? static_cast<char>(c - 'a' + 'A') : plain ? c : '_';
  }
  return name;
}

std::string to_text(const std::variant<std::string_view, std::int64_t>& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) return std::string(*text);
  return std::to_string(std::get<std::int64_t>(value));
}

bool stderr_is_the_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status{};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

bool send(const log::Entry& entry) {
  std::vector<std::string> fields = journal_fields(entry);
  std::vector<iovec> vectors;
  vectors.reserve(fields.size());
  for (std::string& field : fields) vectors.push_back({field.data(), field.size()});
  return ::sd_journal_sendv(vectors.data(), static_cast<int>(vectors.size())) == 0;
}

}  // namespace

std::vector<std::string> journal_fields(const log::Entry& entry) {
  std::vector<std::string> fields{fmt::format("MESSAGE={}", entry.message),
                                  fmt::format("PRIORITY={}", priority_of(entry.level)),
                                  "SYSLOG_IDENTIFIER=ferry",
                                  fmt::format("FERRY_EVENT={}", entry.event)};
  for (const log::Field& field : entry.fields) {
    fields.push_back(fmt::format("{}={}", field_name(field.key), to_text(field.value)));
  }
  return fields;
}

bool log_to_journal_if_connected() {
  if (!stderr_is_the_journal()) return false;
  log::set_writer(&send);
  return true;
}

}  // namespace ferry::app
