// One line per event on stderr, or wherever a Writer takes it.
//
//   log::info("registered", {{"path", path}, {"id", id}});
//
//   text: 2026-11-22T13:40:00.123Z info  registered path="in/a b.csv" id=0193…
//   json: {"time":"2026-11-22T13:40:00.123Z","level":"info","event":"registered","path":…}
//
// An event is a few fixed words to search for; what varies goes into fields. Never a secret.
// Thread-safe once init has returned.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "ferry/base/result.h"

namespace ferry::log {

enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kError, kOff };
enum class Format : std::uint8_t { kText, kJson };

struct Field {
  std::string_view key;
  std::variant<std::string_view, std::int64_t> value;

  Field(std::string_view name, std::string_view text) : key(name), value(text) {}
  Field(std::string_view name, const std::string& text) : key(name), value(text) {}
  Field(std::string_view name, const char* text) : key(name), value(std::string_view(text)) {}
  template <typename Integer>
    requires std::is_integral_v<Integer>
  Field(std::string_view name, Integer number)
      : key(name), value(static_cast<std::int64_t>(number)) {}
};
using Fields = std::initializer_list<Field>;

/// Sets what is written from here on. Without a call: info, text.
void init(Level level, Format format);

/// What each line on stderr begins with: wipes what else is drawn there. TEXT outlives its use.
void set_line_start(const char* text);

/// What a Writer is shown of one event. The views end with the call.
struct Entry {
  Level level;
  std::string_view event;
  Fields fields;
  std::string_view message;  // the line; as text without time and level
};

/// Takes an event in place of stderr. False if it could not: the line goes to stderr then.
/// Called on any thread.
using Writer = std::function<bool(const Entry&)>;
/// To be called before there are other threads.
void set_writer(Writer writer);

void debug(std::string_view event, Fields fields = {});
void info(std::string_view event, Fields fields = {});
void warning(std::string_view event, Fields fields = {});
void error(std::string_view event, Fields fields = {});

}  // namespace ferry::log
