#include <algorithm>
#include <functional>
#include <iterator>
#include <span>

#include "app/commands/command.h"
#include "app/config/landing_areas.h"
#include "app/config/open_store.h"
#include "app/config/setup.h"
#include "app/config/text.h"
#include "app/output.h"
#include "ferry/base/json.h"
#include "ferry/base/log.h"
#include "ferry/base/text.h"
#include "ferry/base/units.h"
#include "ferry/landing/quarantine.h"

namespace ferry::app {
namespace {

using landing::HeldFile;

using Act = std::function<Outcome<Json>(const landing::LandingArea&, const HeldFile&)>;

/// What the subcommands work with.
struct Quarantine {
  std::vector<landing::LandingArea> areas;
  std::unique_ptr<metastore::Metastore> store;
  std::vector<HeldFile> held;
};

Outcome<Quarantine> open_quarantine(const Arguments& arguments, Access access) {
  const auto settings = effective_settings(arguments);
  if (!settings) return fail(settings.error());
  if (const auto checked = check_landings(*settings); !checked) return fail(checked.error());
  auto areas = landing_areas(*settings);
  if (!areas) return fail(areas.error());
  auto store = open_store(*settings, access);
  if (!store) return std::unexpected(store.error());
  Quarantine quarantine{std::move(*areas), std::move(*store), {}};
  auto held = landing::held_files(*quarantine.store, quarantine.areas);
  if (!held) return std::unexpected(held.error());
  quarantine.held = std::move(*held);
  if (arguments.has("landing")) {
    std::erase_if(quarantine.held, [&](const HeldFile& file) {
      return std::ranges::find(quarantine.areas, file.landing, &landing::LandingArea::name) ==
             quarantine.areas.end();
    });
  }
  return quarantine;
}

Json json_of(const HeldFile& file) {
  Json json = landing::to_json(file);
  json["location"] = escape_controls(file.location.string());
  return json;
}

std::string to_text(const HeldFile& file) {
  std::string line =
      fmt::format("{}  {}  {:>10}  {}  in {}  ({})", file.id, format_timestamp(file.since),
                  human_size(static_cast<double>(file.size)), file.path, file.landing, file.reason);
  if (file.out_of_sight) {
    line += "  its file is not found: is its file system mounted?";
  } else if (file.replaced) {
    line += "  another file has taken its place";
  } else if (file.location.empty()) {
    line += "  its file is gone";
  }
  return escape_controls(line) + "\n";
}

/// Those that WORD, an id or a path, means: files of one path may be held in several areas.
Result<std::vector<HeldFile>> called(const std::vector<HeldFile>& held, const std::string& word) {
  std::vector<HeldFile> found;
  std::ranges::copy_if(held, std::back_inserter(found), [&](const HeldFile& file) {
    return file.id == word || file.path == word || escape_controls(file.path) == word;
  });
  if (!found.empty()) return found;
  return make_error(ErrorKind::kInvalid,
                    "{}: nothing in quarantine has this id or path ('ferry quarantine list' "
                    "shows what is there)",
                    word);
}

void show(const std::vector<HeldFile>& files, bool as_json) {
  for (const HeldFile& file : files) {
    if (as_json) {
      print_json(json_of(file));
    } else {
      print(to_text(file));
    }
  }
}

Outcome<ExitStatus> list(const Invocation& invocation) {
  const auto quarantine = open_quarantine(invocation.arguments, Access::kRead);
  if (!quarantine) return std::unexpected(quarantine.error());
  const auto words = std::span(invocation.arguments.positional).subspan(1);
  std::vector<HeldFile> files;
  for (const std::string& word : words) {
    auto found = called(quarantine->held, word);
    if (!found) return fail(found.error());
    std::ranges::move(*found, std::back_inserter(files));
  }
  show(words.empty() ? quarantine->held : files, invocation.arguments.has("json"));
  return ExitStatus::kDone;
}

/// The one file that WORD means: dropping a namesake cannot be undone.
Result<HeldFile> find_held(const std::vector<HeldFile>& held, const std::string& word) {
  auto found = called(held, word);
  if (!found) return found.error();
  if (found->size() == 1) return std::move(found->front());
  std::string candidates;
  for (const HeldFile& file : *found) {
    candidates +=
        fmt::format("\n  {}  in {}, since {}", file.id, file.landing, format_timestamp(file.since));
  }
  return make_error(ErrorKind::kInvalid,
                    "{}: {} files in quarantine have this path; name one by its id:{}", word,
                    found->size(), candidates);
}

/// The files that the words of the command line mean, each once; all of them with --all.
Result<std::vector<HeldFile>> chosen(const Quarantine& quarantine, const Arguments& arguments) {
  const auto& words = arguments.positional;
  if (arguments.has("all")) {
    if (words.size() > 1) return make_error(ErrorKind::kInvalid, "give either --all or names");
    return quarantine.held;
  }
  if (words.size() == 1) return make_error(ErrorKind::kInvalid, "ID|PATH or --all is missing");
  std::vector<HeldFile> files;
  for (auto word = std::next(words.begin()); word != words.end(); ++word) {
    auto file = find_held(quarantine.held, *word);
    if (!file) return file.error();
    const bool is_named_twice = std::ranges::find(files, file->id, &HeldFile::id) != files.end();
    if (!is_named_twice) files.push_back(std::move(*file));
  }
  return files;
}

bool is_stop(const Failure& failure) {
  return failure.error.kind == ErrorKind::kCancelled;
}

/// What a file that fails makes of the command's end: what is wrong with it is no wrong usage.
ExitStatus status_of(const Failure& failure) {
  return failure.origin == Origin::kLocal ? ExitStatus::kSomeFailed : exit_status_for(failure);
}

Outcome<Json> act_on(const Quarantine& quarantine, const HeldFile& file, const Act& act) {
  const auto area = std::ranges::find(quarantine.areas, file.landing, &landing::LandingArea::name);
  if (area != quarantine.areas.end()) return act(*area, file);
  return fail(make_error(ErrorKind::kInvalid, "landing area {} is not configured", file.landing));
}

/// Does ACT with each file; one that fails does not keep the others.
Outcome<ExitStatus> for_each_chosen(const Invocation& invocation, const Quarantine& quarantine,
                                    std::string_view verb, const Act& act) {
  const auto files = chosen(quarantine, invocation.arguments);
  if (!files) return fail(files.error());
  ExitStatus status = ExitStatus::kDone;
  for (const HeldFile& file : *files) {
    const auto done = act_on(quarantine, file, act);
    if (!done && is_stop(done.error())) return std::unexpected(done.error());
    if (!done) {
      log::error(fmt::format("not {}", verb), {{"path", escape_controls(file.path)},
                                               {"id", file.id},
                                               {"error", done.error().error.message}});
      status = worse_of(status, status_of(done.error()));
    } else if (invocation.arguments.has("json")) {
      print_json(*done);
    } else {
      print(fmt::format("{} {}\n", verb, escape_controls(file.path)));
    }
  }
  return status;
}

Outcome<ExitStatus> release(const Invocation& invocation) {
  auto quarantine = open_quarantine(invocation.arguments, Access::kWrite);
  if (!quarantine) return std::unexpected(quarantine.error());
  const auto as = invocation.arguments.last("as");
  if (as && (invocation.arguments.has("all") || invocation.arguments.positional.size() != 2)) {
    return fail(make_error(ErrorKind::kInvalid, "--as goes with one file"));
  }
  return for_each_chosen(
      invocation, *quarantine, "released",
      [&](const landing::LandingArea& area, const HeldFile& file) -> Outcome<Json> {
        auto record = landing::release(*quarantine->store, area, file, as.value_or(file.path),
                                       invocation.stop);
        if (!record) {
          Error& error = record.error().error;
          if (landing::wants_another_name(error)) {
            error.message += "; give it another one with --as NAME";
          }
          return std::unexpected(std::move(record.error()));
        }
        return Json::parse(metastore::to_line(*record), nullptr, false);
      });
}

Outcome<ExitStatus> drop(const Invocation& invocation) {
  auto quarantine = open_quarantine(invocation.arguments, Access::kWrite);
  if (!quarantine) return std::unexpected(quarantine.error());
  return for_each_chosen(
      invocation, *quarantine, "dropped",
      [&](const landing::LandingArea& area, const HeldFile& file) -> Outcome<Json> {
        const auto dropped = landing::drop(*quarantine->store, area, file, invocation.stop);
        if (!dropped) return std::unexpected(dropped.error());
        return json_of(file);
      });
}

Outcome<ExitStatus> run_quarantine(const Invocation& invocation) {
  const std::string& what = invocation.arguments.positional.front();
  if (what == "list") return list(invocation);
  if (what == "release") return release(invocation);
  if (what == "drop") return drop(invocation);
  constexpr std::string_view kKnown[] = {"list", "release", "drop"};
  return fail(make_error(ErrorKind::kInvalid, "unknown action '{}': choose list, release or drop{}",
                         what, suggestion(what, kKnown)));
}

}  // namespace

Command quarantine_command() {
  return {
      .name = "quarantine",
      .bit = kQuarantineBit,
      .summary = "list, release or drop abnormal files",
      .positional = "list|release|drop [ID|PATH...]",
      .min_positional = 1,
      .max_positional = static_cast<std::size_t>(-1),
      .description =
          "Abnormal files are moved aside and wait for a person: 'list' tells where they are,\n"
          "and why. 'release' registers a file anew and puts it back: it is delivered, and not\n"
          "held again for the same reason. It never takes the place of another file. 'drop'\n"
          "deletes a file for good.",
      .flags = {{"all", "", "release or drop all that is held"},
                {"as", "PATH", "release a file under this name"},
                {"json", "", "print one JSON object a line"}},
      .exits = {{ExitStatus::kDone},
                {ExitStatus::kSomeFailed,
                 "some files could not be released or dropped; the others are"},
                {ExitStatus::kUsage},
                {ExitStatus::kDestination,
                 "the server of a landing area is unreachable or refused us"},
                {ExitStatus::kMetastore},
                {ExitStatus::kInterrupted}},
      .run = &run_quarantine};
}

}  // namespace ferry::app
