#include "app/report/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <utility>

#include "ferry/base/agent_progress.h"
#include "ferry/base/log.h"
#include "ferry/base/units.h"

namespace ferry::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kRedrawInterval{100};
constexpr const char* kWipe = "\r\x1b[K";

void log_failure(const transfer::FileOutcome& file, const std::string& destination,
                 const Error& error) {
  log::error("failed", {{"path", file.path},
                        {"id", file.id},
                        {"destination", destination},
                        {"kind", to_string(error.kind)},
                        {"error", error.message}});
}

using LogFunction = void (*)(std::string_view event, log::Fields fields);

void log_start(LogFunction log, const std::string& destination, std::uint64_t files,
               std::uint64_t bytes) {
  log("transfer started", {{"destination", destination}, {"files", files}, {"bytes", bytes}});
}

void log_delivery(LogFunction log, const transfer::FileOutcome& file,
                  const std::string& destination) {
  if (file.is_skipped) {
    return log("skipped", {{"path", file.path},
                           {"id", file.id},
                           {"destination", destination},
                           {"remote_path", file.remote_path},
                           {"reason", "the destination has another file of this name"}});
  }
  log("delivered", {{"path", file.path},
                    {"id", file.id},
                    {"destination", destination},
                    {"remote_path", file.remote_path},
                    {"bytes", file.bytes},
                    {"ms", file.duration.count()}});
}

class LogObserver : public CountingObserver {
 public:
  LogObserver(std::string destination, milliseconds interval)
      : destination_(std::move(destination)), interval_(interval) {}

  void on_start(std::uint64_t files, std::uint64_t bytes) override {
    if (!std::exchange(has_started_, true)) log_start(&log::info, destination_, files, bytes);
    progress_.files = files;
    progress_.bytes = bytes;
  }
  void on_bytes(std::uint64_t acknowledged) override {
    CountingObserver::on_bytes(acknowledged);
    tell_if_due();
  }
  void on_delivered(const transfer::FileOutcome& file) override {
    log_delivery(&log::info, file, destination_);
    ++progress_.files_done;
  }
  void on_failed(const transfer::FileOutcome& file, const Error& error) override {
    log_failure(file, destination_, error);
    ++progress_.files_done;
  }

 private:
  /// Of a large file no other line would tell for hours.
  void tell_if_due() {
    const auto time = steady_clock::now();
    if (time - told_ < interval_) return;
    told_ = time;
    const double seconds = std::max(0.001, std::chrono::duration<double>(time - started_).count());
    const double rate = static_cast<double>(sent()) / seconds;
    log::info("progress", {{"destination", destination_},
                           {"files", progress_.files_done},
                           {"of_files", progress_.files},
                           {"sent", human_size(static_cast<double>(sent()))},
                           {"of", human_size(static_cast<double>(progress_.bytes))},
                           {"rate", human_size(rate) + "/s"}});
  }

  const std::string destination_;
  const milliseconds interval_;
  bool has_started_ = false;
  Progress progress_;
  const steady_clock::time_point started_ = steady_clock::now();
  steady_clock::time_point told_ = started_;
};

/// One line at the foot of a terminal. Thread-safe.
class Bar {
 public:
  explicit Bar(std::FILE* terminal) : terminal_(terminal) { log::set_line_start(kWipe); }
  Bar(const Bar&) = delete;
  Bar& operator=(const Bar&) = delete;
  ~Bar() {
    log::set_line_start("");
    fmt::print(terminal_, "{}", kWipe);
    std::fflush(terminal_);
  }

  /// What there is more of than before.
  void add(const Progress& more) {
    const std::scoped_lock lock(mutex_);
    progress_.files += more.files;
    progress_.files_done += more.files_done;
    progress_.bytes += more.bytes;
    progress_.bytes_done += more.bytes_done;
    redraw_if_due();
  }

 private:
  std::size_t width() const {
    winsize size{};
    const bool known = ::ioctl(::fileno(terminal_), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
  }

  void redraw_if_due() {
    const auto time = steady_clock::now();
    if (time - drawn_ < kRedrawInterval) return;
    drawn_ = time;
    progress_.elapsed = std::chrono::duration_cast<milliseconds>(time - started_);
    fmt::print(terminal_, "{}{}", kWipe, progress_line(progress_, width() - 1));
    std::fflush(terminal_);
  }

  std::FILE* const terminal_;
  std::mutex mutex_;
  Progress progress_;
  const steady_clock::time_point started_ = steady_clock::now();
  steady_clock::time_point drawn_;
};

class BarObserver : public CountingObserver {
 public:
  BarObserver(std::string destination, std::shared_ptr<Bar> bar)
      : destination_(std::move(destination)), bar_(std::move(bar)) {}

  void on_start(std::uint64_t files, std::uint64_t bytes) override {
    if (files_ == 0) log_start(&log::debug, destination_, files, bytes);
    bar_->add({.files = files - std::exchange(files_, files),
               .bytes = bytes - std::exchange(bytes_, bytes)});
  }
  void on_bytes(std::uint64_t acknowledged) override {
    CountingObserver::on_bytes(acknowledged);
    bar_->add({.bytes_done = acknowledged});
  }
  void on_delivered(const transfer::FileOutcome& file) override {
    log_delivery(&log::debug, file, destination_);
    bar_->add({.files_done = 1});
  }
  void on_failed(const transfer::FileOutcome& file, const Error& error) override {
    log_failure(file, destination_, error);
    bar_->add({.files_done = 1});
  }

 private:
  const std::string destination_;
  const std::shared_ptr<Bar> bar_;
  std::uint64_t files_ = 0;  // as told last
  std::uint64_t bytes_ = 0;
};

/// Tells everybody on this host, too.
class TellingObserver : public CountingObserver {
 public:
  TellingObserver(std::unique_ptr<CountingObserver> observer, ProgressNote note)
      : observer_(std::move(observer)), note_(std::move(note)) {}

  void on_start(std::uint64_t files, std::uint64_t bytes) override {
    observer_->on_start(files, bytes);
    AgentProgress& now = note_.now_is();
    if (now.is_idle()) {
      earlier_files_ =
          std::exchange(now.files_done, 0) + std::exchange(now.files_failed, 0) + earlier_files_;
      earlier_bytes_ += std::exchange(now.bytes, 0);
      now.bytes_done = 0;
    }
    now.files = files - std::min(earlier_files_, files);
    now.bytes = bytes - std::min(earlier_bytes_, bytes);
    note_.tell();
  }
  void on_bytes(std::uint64_t acknowledged) override {
    CountingObserver::on_bytes(acknowledged);
    observer_->on_bytes(acknowledged);
    note_.now_is().bytes_done += acknowledged;
    note_.tell();
  }
  void on_delivered(const transfer::FileOutcome& file) override {
    observer_->on_delivered(file);
    note_.now_is().files_done += 1;
    note_.now_is().last_file = file.path;
    note_.tell();
  }
  void on_failed(const transfer::FileOutcome& file, const Error& error) override {
    observer_->on_failed(file, error);
    note_.now_is().files_failed += 1;
    note_.now_is().last_error = fmt::format("{}: {}", file.path, error.message);
    note_.tell();
  }

 private:
  const std::unique_ptr<CountingObserver> observer_;
  ProgressNote note_;
  /// Until it last had nothing to do: an agent that goes on for weeks tells of what it does now.
  std::uint64_t earlier_files_ = 0;
  std::uint64_t earlier_bytes_ = 0;
};

std::string bar(double fraction, std::size_t width) {
  const auto filled = static_cast<std::size_t>(fraction * static_cast<double>(width));
  return fmt::format("[{:#<{}}{:{}}]", "", filled, "", width - filled);
}

}  // namespace

std::string progress_line(const Progress& progress, std::size_t width) {
  const double seconds = std::max(0.001, static_cast<double>(progress.elapsed.count()) / 1000);
  const double done = static_cast<double>(progress.bytes_done);
  const double rate = done / seconds;
  double fraction = 1;
  if (progress.bytes > 0) {
    fraction = std::min(1.0, done / static_cast<double>(progress.bytes));
  } else if (progress.files > 0) {
    fraction = static_cast<double>(progress.files_done) / static_cast<double>(progress.files);
  }
  std::string eta = "--";
  if (rate > 0 && progress.bytes_done <= progress.bytes) {
    const double left = static_cast<double>(progress.bytes - progress.bytes_done) / rate;
    eta = human_duration(milliseconds(static_cast<std::int64_t>(left * 1000)));
  }
  return progress_line(fraction,
                       fmt::format("{} of {}  {}/{} files  {}/s  ETA {}", human_size(done),
                                   human_size(static_cast<double>(progress.bytes)),
                                   progress.files_done, progress.files, human_size(rate), eta),
                       width);
}

std::string progress_line(double fraction, std::string_view numbers, std::size_t width) {
  std::string text = fmt::format(" {:3.0f}%  {}", fraction * 100, numbers);
  constexpr std::size_t kSmallestBar = 12;
  if (text.size() + kSmallestBar <= width) {
    text.insert(0, bar(fraction, std::min<std::size_t>(width - text.size() - 2, 30)));
  }
  return text.substr(0, width);
}

namespace {

MakeObserver make_visible_observers(log::Format format, milliseconds interval) {
  if (::isatty(STDERR_FILENO) == 0 || format != log::Format::kText) {
    return [interval](std::string destination) {
      return std::make_unique<LogObserver>(std::move(destination), interval);
    };
  }
  return [bar = std::make_shared<Bar>(stderr)](std::string destination) {
    return std::make_unique<BarObserver>(std::move(destination), bar);
  };
}

}  // namespace

MakeObserver make_observers(log::Format format, const fs::path& agents, milliseconds interval) {
  return [make = make_visible_observers(format, interval), agents](const std::string& destination) {
    auto observer = make(destination);
    auto note = ProgressNote::create(agents, destination);
    if (note) {
      return std::unique_ptr<CountingObserver>(
          std::make_unique<TellingObserver>(std::move(observer), std::move(*note)));
    }
    log::debug("progress not told", {{"error", note.error().message}});
    return observer;
  };
}

}  // namespace ferry::app
