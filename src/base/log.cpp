#include "ferry/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>

#include "ferry/base/json.h"

#include "ferry/base/time.h"

namespace ferry::log {
namespace {

struct State {
  Format format = Format::kText;
  Writer writer;
  std::shared_ptr<spdlog::logger> logger = make_logger();
  std::atomic<const char*> line_start = "";

  static std::shared_ptr<spdlog::logger> make_logger() {
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    auto logger = std::make_shared<spdlog::logger>("ferry", std::move(sink));
    logger->set_pattern("%v");
    logger->flush_on(spdlog::level::trace);
    return logger;
  }
};

State& state() {
  static State instance;
  return instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
    case Level::kOff:
      break;
  }
  return spdlog::level::off;
}

std::string_view name_of(Level level) {
  static constexpr std::string_view kNames[] = {"debug", "info", "warning", "error", "off"};
  return kNames[static_cast<std::size_t>(level)];
}

/// A value that a person and logfmt readers take as one word; anything else is quoted as in JSON.
std::string quoted_where_needed(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@+,%#~";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string_view::npos) {
    return std::string(text);
  }
  return to_text(Json(text));
}

std::string text_message(std::string_view event, Fields fields) {
  std::string line(event);
  for (const Field& field : fields) {
    line.append(" ").append(field.key).append("=");
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      line.append(quoted_where_needed(*text));
    } else {
      line.append(fmt::to_string(std::get<std::int64_t>(field.value)));
    }
  }
  return line;
}

std::string json_message(Level level, std::string_view event, Fields fields) {
  Json json{{"time", format_timestamp(now())}, {"level", name_of(level)}, {"event", event}};
  for (const Field& field : fields) {
    std::visit([&](auto value) { json[std::string(field.key)] = value; }, field.value);
  }
  return to_text(json);
}

void write(Level level, std::string_view event, Fields fields) {
  State& current = state();
  if (!current.logger->should_log(to_spdlog(level))) return;
  const bool as_json = current.format == Format::kJson;
  const std::string message =
      as_json ? json_message(level, event, fields) : text_message(event, fields);
  if (current.writer && current.writer({level, event, fields, message})) return;
  const std::string line = as_json ? message
                                   : fmt::format("{}{} {:<7} {}", current.line_start.load(),
                                                 format_timestamp(now()), name_of(level), message);
  current.logger->log(to_spdlog(level), spdlog::string_view_t(line));
}

}  // namespace

void init(Level level, Format format) {
  state().format = format;
  state().logger->set_level(to_spdlog(level));
}

void set_line_start(const char* text) {
  state().line_start = text;
}

void set_writer(Writer writer) {
  state().writer = std::move(writer);
}

void debug(std::string_view event, Fields fields) {
  write(Level::kDebug, event, fields);
}
void info(std::string_view event, Fields fields) {
  write(Level::kInfo, event, fields);
}
void warning(std::string_view event, Fields fields) {
  write(Level::kWarning, event, fields);
}
void error(std::string_view event, Fields fields) {
  write(Level::kError, event, fields);
}

}  // namespace ferry::log
