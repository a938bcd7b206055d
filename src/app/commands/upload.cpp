#include "ferry/base/json.h"

#include "app/commands/command.h"
#include "app/commands/upload_input.h"
#include "app/config/landing_areas.h"
#include "app/config/open_store.h"
#include "app/config/setup.h"
#include "app/config/state_directory.h"
#include "app/output.h"
#include "ferry/base/path.h"
#include "ferry/base/text.h"
#include "ferry/landing/upload.h"

namespace ferry::app {
namespace {

using metastore::FileRecord;

constexpr std::size_t kBlockBytes = 256 * 1024;

struct Item {
  std::string input;
  std::string path;  // in the landing area
};

/// --as names the file, or with a '/' at its end the directory for all of them.
Result<std::vector<Item>> items_of(const Arguments& arguments) {
  const std::string as = arguments.last("as").value_or("");
  const bool is_directory = as.ends_with('/');
  if (!as.empty() && !is_directory && arguments.positional.size() > 1) {
    return make_error(ErrorKind::kInvalid,
                      "--as {} names one file, and {} are given: end it with '/' to name a "
                      "directory",
                      as, arguments.positional.size());
  }
  if (!arguments.trailing.empty()) {
    if (!arguments.positional.empty()) {
      return make_error(ErrorKind::kInvalid,
                        "either files or a command: nothing may stand before the '--'; a file "
                        "whose name begins with '-' is written ./-NAME");
    }
    if (as.empty() || is_directory) {
      return make_error(ErrorKind::kInvalid, "what a command writes has no name: give --as PATH");
    }
    return std::vector<Item>{{"", as}};
  }
  if (arguments.positional.empty()) return make_error(ErrorKind::kInvalid, "FILE... is missing");
  std::vector<Item> items;
  for (const std::string& input : arguments.positional) {
    if (input == "-" && (as.empty() || is_directory)) {
      return make_error(ErrorKind::kInvalid, "standard input has no name: give --as PATH");
    }
    const bool is_named = !as.empty() && !is_directory;
    items.push_back({input, is_named ? as : as + std::string(base_name(input))});
  }
  return items;
}

Result<std::optional<Checksum>> expected_checksum(const Arguments& arguments) {
  const auto text = arguments.last("expect-checksum");
  if (!text) return std::optional<Checksum>();
  if (arguments.positional.size() > 1) {
    return make_error(ErrorKind::kInvalid, "--expect-checksum is for one file");
  }
  const auto checksum = Checksum::parse(*text);
  if (!checksum) return checksum.error().with_context("--expect-checksum");
  return std::optional(*checksum);
}

Result<landing::LandingArea> only_area(const Settings& settings) {
  if (settings.landings.size() == 1) return landing_area(settings.landings.front(), settings);
  std::string names;
  for (const LandingSettings& landing : settings.landings) {
    names += (names.empty() ? "" : ", ") + landing.name;
  }
  return make_error(ErrorKind::kInvalid, "which landing area? Give --landing with one of: {}",
                    names);
}

/// Of what is to be uploaded: neither a wrong option nor the metastore's trouble.
std::unexpected<Failure> unreadable(Error error) {
  if (error.kind == ErrorKind::kDenied || error.kind == ErrorKind::kIo) {
    error.kind = ErrorKind::kFailed;
  }
  return fail(std::move(error));
}

/// PLACE: whose trouble it is if the landing area is in trouble.
Outcome<void> copy(UploadInput& input, landing::Upload& upload, const std::string& path,
                   const std::optional<Checksum>& expected, Origin place, StopToken& stop) {
  std::vector<HashAlgorithm> algorithms;
  if (expected) algorithms.push_back(expected->algorithm);
  const auto file = upload.open(path, algorithms);
  if (!file) return std::unexpected(file.error());
  std::vector<std::byte> block(kBlockBytes);
  for (;;) {
    const auto count = input.read(block, stop);
    if (!count) return unreadable(count.error().with_context(path));
    if (*count == 0) break;
    if (auto written = (*file)->write(std::span(block).first(*count)); !written) {
      return fail(written.error(), place);
    }
  }
  const auto finished =
      (*file)->finish(expected ? std::span(&*expected, 1) : std::span<const Checksum>());
  if (!finished) return fail(finished.error(), place);
  return {};
}

Outcome<std::vector<FileRecord>> upload_all(metastore::Metastore& store,
                                            landing::UploadOptions options,
                                            const std::vector<Item>& items,
                                            const std::vector<std::string>& command,
                                            const std::optional<Checksum>& expected,
                                            StopToken& stop) {
  const Origin place = landing::origin_of(options.area);
  for (const Item& item : items) {
    if (auto fit = landing::check_upload_path(options.area, item.path); !fit) {
      return fail(fit.error());
    }
  }
  auto upload = landing::Upload::begin(store, std::move(options), stop);
  if (!upload) return std::unexpected(upload.error());
  for (const Item& item : items) {
    auto input = command.empty() ? UploadInput::open(item.input, stop) : UploadInput::run(command);
    if (!input) return unreadable(input.error());
    if (auto copied = copy(*input, **upload, item.path, expected, place, stop); !copied) {
      return std::unexpected(copied.error());
    }
  }
  return (*upload)->commit();
}

void print_records(const std::vector<FileRecord>& records, bool as_json) {
  for (const FileRecord& record : records) {
    if (as_json) {
      print(metastore::to_line(record));
    } else {
      print(fmt::format("{}  {}  {}\n", record.id, record.checksum.to_string(),
                        escape_controls(record.path)));
    }
  }
}

Outcome<ExitStatus> run_upload(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const auto settings = effective_settings(arguments);
  if (!settings) return fail(settings.error());
  const auto items = items_of(arguments);
  if (!items) return fail(items.error());
  const auto expected = expected_checksum(arguments);
  if (!expected) return fail(expected.error());
  if (const auto checked = check_landings(*settings); !checked) return fail(checked.error());
  auto area = only_area(*settings);
  if (!area) return fail(area.error());
  auto store = open_store_to_work(*settings, Access::kCreate);
  if (!store) return std::unexpected(store.error());
  landing::UploadOptions options{.area = std::move(*area),
                                 .journals = state_directory(*settings).uploads(),
                                 .no_clobber = arguments.has("no-clobber")};
  const auto records = upload_all(**store, std::move(options), *items, arguments.trailing,
                                  *expected, invocation.stop);
  if (!records) return std::unexpected(records.error());
  print_records(*records, arguments.has("json"));
  return ExitStatus::kDone;
}

}  // namespace

Command upload_command() {
  return {
      .name = "upload",
      .bit = kUploadBit,
      .summary = "place files in the landing area and register them",
      .positional = "FILE... | -- COMMAND...",
      .max_positional = static_cast<std::size_t>(-1),
      .description =
          "Copies files into the landing area and registers them, all of them or none; '-'\n"
          "reads standard input. What follows '--' is a command with its arguments: what it\n"
          "writes is placed and registered if it ends with 0, and not at all otherwise. A file "
          "appears under its name in one step, whole and synced,\n"
          "and is registered once, also if a watcher runs. What a killed upload left is\n"
          "settled by the next upload or watcher.",
      .flags = {{"as", "PATH", "its name in the landing area; DIR/ for several files"},
                {"no-clobber", "", "fail if the name is taken, instead of replacing it"},
                {"expect-checksum", "SUM", "refuse other bytes; sha256:HEX, md5:HEX, or bare hex"},
                {"json", "", "print the records as JSON, one a line"}},
      .takes_command = true,
      .exits = {{ExitStatus::kDone, "all files are in their places and registered"},
                {ExitStatus::kSomeFailed,
                 "a file is unreadable, refused or not what was expected, or the command failed: "
                 "none is there"},
                {ExitStatus::kUsage},
                {ExitStatus::kDestination,
                 "the landing area's server is unreachable or refused us"},
                {ExitStatus::kMetastore,
                 "the metastore could not be written; the message says so if the files are there "
                 "all the same"},
                {ExitStatus::kInterrupted}},
      .run = &run_upload};
}

}  // namespace ferry::app
