#include <fmt/ranges.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>

#include "app/commands/command.h"
#include "app/config/open_store.h"
#include "app/config/setup.h"
#include "app/config/state_directory.h"
#include "app/output.h"
#include "app/report/notification.h"
#include "app/report/situation.h"
#include "ferry/base/child_process.h"
#include "ferry/base/lock.h"
#include "ferry/base/log.h"

namespace ferry::app {
namespace {

/// Nothing: nobody was told of anything before. What is damaged is told anew.
std::optional<Told> read_told(const fs::path& note) {
  const auto text = read_file(note);
  if (!text) return std::nullopt;
  const Json json = Json::parse(*text, nullptr, false);
  auto told = told_from(json);
  if (!told) {
    log::warning("told anew", {{"note", note.string()}, {"reason", told.error().message}});
    return Told{};
  }
  return std::move(*told);
}

std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::string message_of(const NotifySettings& notify, const std::vector<Event>& events,
                       Timestamp time) {
  Json list = Json::array();
  std::vector<std::string> lines;
  for (const Event& event : events) {
    list.push_back(event.data);
    lines.push_back(event.text);
  }
  return to_text({{"notify", notify.name},
                  {"host", host_name()},
                  {"time", format_timestamp(time)},
                  {"text", fmt::to_string(fmt::join(lines, "\n"))},
                  {"events", std::move(list)}}) +
         "\n";
}

Result<void> hand_over(const NotifySettings& notify, const std::string& message,
                       const StopToken& stop) {
  const UniqueFd memory(::memfd_create("ferry-notify", MFD_CLOEXEC));
  if (memory.get() < 0) return errno_error(errno, "memfd_create");
  if (auto written = write_full(memory.get(), as_bytes(message), "the message"); !written) {
    return written;
  }
  if (::lseek(memory.get(), 0, SEEK_SET) != 0) return errno_error(errno, "seek");
  const auto ended = run_command(notify.command.words, {"FERRY_NOTIFY=" + notify.name},
                                 memory.get(), notify.time_limit, stop);
  if (!ended) return ended.error();
  if (ended->status == 0) return {};
  return make_error(ErrorKind::kFailed, "{}",
                    describe_exit(notify.command.words.front(), ended->status, ended->stderr_text));
}

class Notifying {
 public:
  Notifying(fs::path directory, const Situation& situation, Timestamp time, const StopToken& stop)
      : directory_(std::move(directory)), situation_(situation), time_(time), stop_(stop) {}

  /// What could not be told is told by the next run.
  Result<void> tell(const NotifySettings& notify) {
    const fs::path note = directory_ / (to_file_name(notify.name) + ".json");
    const auto known = read_told(note);
    // Batches that were done before anybody asked are not news.
    Told told;
    told.batches = told_of(situation_, {}).batches;
    if (known) told = *known;
    const std::vector<Event> events = news(situation_, told, notify.on);
    if (!events.empty()) {
      if (time_ - told.time < notify.interval && time_ >= told.time) return {};
      const auto handed = hand_over(notify, message_of(notify, events, time_), stop_);
      if (!handed) return handed;
      log::info("told", {{"notify", notify.name}, {"events", events.size()}});
    }
    const Told now_told = told_of(situation_, events.empty() ? told.time : time_);
    if (known && now_told == *known) return {};
    return replace_file(note, to_text(to_json(now_told)) + "\n");
  }

 private:
  /// A name of the configuration may be any text.
  static std::string to_file_name(const std::string& name) {
    std::string text;
    for (const char letter : name) {
      const bool is_plain =
          std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '-' || letter == '_';
      text += is_plain ? std::string(1, letter)
                       : fmt::format("%{:02x}", static_cast<unsigned char>(letter));
    }
    return text;
  }

  const fs::path directory_;
  const Situation& situation_;
  const Timestamp time_;
  const StopToken& stop_;
};

Outcome<ExitStatus> run_notify(const Invocation& invocation) {
  const auto settings = effective_settings(invocation.arguments);
  if (!settings) return fail(settings.error());
  if (settings->notified.empty()) {
    return fail(make_error(ErrorKind::kInvalid,
                           "the configuration tells nobody: 'man ferry.toml' has [notify.NAME]"));
  }
  const fs::path directory = state_directory(*settings).notified();
  if (auto made = make_directories(directory); !made) return fail(made.error());
  const auto lock = FileLock::try_acquire(directory / "lock");
  if (!lock) return fail(lock.error());
  if (!*lock) {
    log::info("another run is at it", {{"directory", directory.string()}});
    return ExitStatus::kDone;
  }
  auto store = open_store(*settings, Access::kRead);
  if (!store) return std::unexpected(store.error());
  const Timestamp time = now();
  const auto situation = look_at_situation(**store, *settings, time);
  if (!situation) return fail(situation.error(), Origin::kMetastore);
  Notifying notifying(directory, *situation, time, invocation.stop);
  ExitStatus status = ExitStatus::kDone;
  for (const NotifySettings& notify : settings->notified) {
    const auto told = notifying.tell(notify);
    if (told) continue;
    log::error("not told", {{"notify", notify.name},
                            {"reason", told.error().message},
                            {"next", "the next run tells it"}});
    status = ExitStatus::kSomeFailed;
  }
  return status;
}

}  // namespace

Command notify_command() {
  return {.name = "notify",
          .bit = kOtherBit,
          .summary = "tell whoever the configuration names what needs somebody",
          .positional = "",
          .description =
              "Looks at how files stand, and runs the command of each [notify.NAME] whose news it\n"
              "is: one message for all of it, as JSON on the command's standard input. What was\n"
              "told is noted in the state directory; what a command did not take (an exit code\n"
              "other than 0) is told by the next run. To be run every minute, by a timer or cron.",
          .flags = {},
          .exits = {{ExitStatus::kDone, "all news was told, or there is none"},
                    {ExitStatus::kSomeFailed, "a command failed: the next run tells it"},
                    {ExitStatus::kUsage},
                    {ExitStatus::kMetastore}},
          .run = &run_notify};
}

}  // namespace ferry::app
