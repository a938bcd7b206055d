#include <unistd.h>

#include <array>
#include <boost/filesystem/operations.hpp>
#include <optional>
#include <sstream>
#include "ferry/base/json.h"

#include "app/commands/command.h"
#include "app/config/connections.h"
#include "app/config/landing_areas.h"
#include "app/config/local_time.h"
#include "app/config/open_store.h"
#include "app/config/selection.h"
#include "app/config/setup.h"
#include "app/config/state_directory.h"
#include "app/delivery/delivered_batches.h"
#include "app/output.h"
#include "ferry/base/input.h"
#include "ferry/base/log.h"
#include "ferry/base/text.h"
#include "ferry/base/units.h"
#include "ferry/transfer/control_signature.h"
#include "ferry/transfer/verify.h"

namespace ferry::app {
namespace {

using transfer::Finding;
using transfer::ReceivedControlFile;
using transfer::Verdict;
using transfer::Verification;

constexpr std::array kVerdicts = {Verdict::kMissing, Verdict::kShort, Verdict::kChanged,
                                  Verdict::kExtra, Verdict::kUnreadable};

/// Where to look: in a directory, or at a destination.
struct Place {
  std::optional<fs::path> root;
  std::optional<transfer::Destination> destination;
};

/// --destination NAME is --to NAME.
Result<Arguments> with_one_destination(Arguments arguments) {
  const auto named = arguments.flags.find("destination");
  const std::size_t places = (named != arguments.flags.end() ? named->second.size() : 0) +
                             (arguments.has("to") ? arguments.flags.at("to").size() : 0) +
                             (arguments.has("root") ? 1 : 0);
  if (places != 1) {
    return make_error(ErrorKind::kInvalid,
                      "say where to look: one of --root DIR, --destination NAME and --to URL");
  }
  if (named != arguments.flags.end()) arguments.flags["to"] = named->second;
  if (arguments.has("root") && arguments.has("readback")) {
    return make_error(ErrorKind::kInvalid,
                      "--readback is for destinations: files below --root are always read");
  }
  return arguments;
}

Result<Place> find_place(const Settings& settings, const Arguments& arguments) {
  if (const auto root = arguments.last("root")) {
    return Place{.root = fs::path(*root), .destination = {}};
  }
  auto destination = resolve_destination(settings.destinations.front(), settings.transfer);
  if (!destination) return destination.error();
  return Place{.root = {}, .destination = std::move(*destination)};
}

/// All errors but a stop are wrong usage: somebody named the file.
Error unusable(const std::string& name, const Error& error) {
  if (error.kind == ErrorKind::kCancelled) return error;
  return make_error(ErrorKind::kInvalid, "control file {}: {}", name, error.message);
}

Result<ReceivedControlFile> parse(std::string text, const std::string& name) {
  std::istringstream stream(std::move(text));
  auto control = transfer::read_control_file(stream);
  if (!control) return unusable(name, control.error());
  return control;
}

Result<ReceivedControlFile> read_local(const fs::path& path, const StopToken& stop) {
  auto text = read_input(path, transfer::kLongestControlFile, stop);
  if (!text) return unusable(path.string(), text.error());
  return parse(std::move(*text), path.string());
}

Result<ReceivedControlFile> read_standard_input(const StopToken& stop) {
  auto text = read_input(STDIN_FILENO, "standard input", transfer::kLongestControlFile, stop);
  if (!text) return unusable("-", text.error());
  return parse(std::move(*text), "-");
}

/// The agent's own copy, where this metastore's agents made the batch.
fs::path kept_copy(const Settings& settings, const std::string& name) {
  if (!settings.general.metastore.is_given() || name.find('/') != name.npos) return {};
  const fs::path batches = state_directory(settings).batches();
  for (const std::string& candidate : {name, transfer::control_file_name(name)}) {
    boost::system::error_code ignored;
    if (fs::is_regular_file(batches / candidate, ignored)) return batches / candidate;
  }
  return {};
}

/// Nothing is believed of a control file before it is known who made it: the bytes that are parsed
/// are those whose signature was checked. Nothing: they are not signed, which is logged.
Outcome<std::optional<ReceivedControlFile>> read_signed(const std::string& name,
                                                        const fs::path& allowed_signers,
                                                        const StopToken& stop) {
  // Its signature lies beside it: it is not a pipe, and nobody is waited for.
  const auto file = open_regular_file(name);
  if (!file) return fail(unusable(name, file.error().with_context("--allowed-signers")));
  auto text = read_input(file->get(), name, transfer::kLongestControlFile, stop);
  if (!text) return fail(unusable(name, text.error()));
  const auto signer = transfer::signer_of(*text, name + std::string(transfer::kSignatureSuffix),
                                          allowed_signers, stop);
  if (!signer && signer.error().kind != ErrorKind::kFailed) return fail(signer.error());
  if (!signer) {
    log::error("not signed", {{"control_file", name}, {"reason", signer.error().message}});
    return std::optional<ReceivedControlFile>();
  }
  log::info("signed", {{"control_file", name}, {"by", *signer}});
  auto control = parse(std::move(*text), name);
  if (!control) return fail(control.error());
  return std::optional(std::move(*control));
}

Outcome<ReceivedControlFile> find_control_file(const std::string& name, const Settings& settings,
                                               const Place& place, StopToken& stop) {
  const auto local = [](Result<ReceivedControlFile> control) -> Outcome<ReceivedControlFile> {
    if (!control) return fail(control.error());
    return std::move(*control);
  };
  if (name == "-") return local(read_standard_input(stop));
  boost::system::error_code ignored;
  if (fs::exists(name, ignored)) return local(read_local(name, stop));
  if (const fs::path kept = kept_copy(settings, name); !kept.empty()) {
    return local(read_local(kept, stop));
  }
  if (!place.destination) {
    return fail(make_error(ErrorKind::kInvalid, "control file {}: there is no such file", name));
  }
  auto fetched = transfer::fetch_control_file(*place.destination, name, stop);
  if (!fetched) return fail(fetched.error(), Origin::kDestination);
  return std::move(*fetched);
}

Outcome<Verification> verify(const ReceivedControlFile& control, const Place& place,
                             const transfer::VerifyOptions& options, StopToken& stop) {
  auto verification =
      place.root ? transfer::verify_directory(control, *place.root, options, stop)
                 : transfer::verify_destination(control, *place.destination, options, stop);
  if (verification) return std::move(*verification);
  return fail(verification.error(), place.root ? Origin::kLocal : Origin::kDestination);
}

std::size_t count(const Verification& verification, Verdict verdict) {
  return static_cast<std::size_t>(
      std::ranges::count(verification.findings, verdict, &Finding::verdict));
}

void print_result(const ReceivedControlFile& control, const Place& place,
                  const Verification& verification) {
  for (const Finding& finding : verification.findings) {
    print(fmt::format("{:<10} {}  ({})\n", transfer::to_string(finding.verdict),
                      escape_controls(finding.path), escape_controls(finding.message)));
  }
  std::string text = fmt::format("{}: {} of {} files are right", control.batch_id,
                                 verification.right, control.files.size());
  for (const Verdict verdict : kVerdicts) {
    if (const auto number = count(verification, verdict)) {
      text += fmt::format(", {} {}", number, transfer::to_string(verdict));
    }
  }
  if (place.destination && verification.bytes == 0) text += "; sizes only";
  if (verification.bytes > 0) {
    text += fmt::format("; {} read", human_size(static_cast<double>(verification.bytes)));
  }
  print(escape_controls(text) + "\n");
}

void print_as_json(const ReceivedControlFile& control, const Place& place,
                   const Verification& verification) {
  Json json{{"batch_id", control.batch_id}};
  if (place.root) {
    json["root"] = place.root->string();
  } else {
    json["destination"] = place.destination->name;
  }
  json["ok"] = verification.findings.empty();
  json["files"] = control.files.size();
  json["right"] = verification.right;
  for (const Verdict verdict : kVerdicts) {
    json[std::string(transfer::to_string(verdict))] = count(verification, verdict);
  }
  json["bytes_read"] = verification.bytes;
  json["findings"] = Json::array();
  for (const Finding& finding : verification.findings) {
    json["findings"].push_back({{"path", finding.path},
                                {"verdict", transfer::to_string(finding.verdict)},
                                {"message", finding.message}});
  }
  print_json(json);
}

transfer::VerifyOptions verify_options(const Arguments& arguments) {
  transfer::VerifyOptions options;
  options.strict = arguments.has("strict");
  options.depth = arguments.has("readback") ? transfer::Verify::kReadback : transfer::Verify::kSize;
  return options;
}

/// What the log knows of deliveries that match the flags.
Outcome<DeliveredBatches> select_batches(const Settings& settings, const Arguments& arguments) {
  if (arguments.has("root")) {
    return fail(make_error(ErrorKind::kInvalid, "--root needs a control file"));
  }
  const auto dates = registration_dates(arguments);
  if (!dates) return fail(dates.error());
  DeliveryQuery query{.destination = settings.destinations.front().name,
                      .registered = *dates,
                      .recorded_since = {},
                      .has_landing = [labels = landing_labels(settings)](std::string_view one) {
                        return labels.empty() || labels.contains(std::string(one));
                      }};
  if (const auto text = arguments.last("delivered-since")) {
    const auto time = parse_point(*text, now());
    if (!time) return fail(time.error().with_context("--delivered-since"));
    query.recorded_since = *time;
  }
  if (!dates->since && !dates->until && !query.recorded_since) {
    return fail(make_error(ErrorKind::kInvalid,
                           "say what to verify: a control file, a batch's id, or --since, --until, "
                           "--date or --delivered-since"));
  }
  auto store = open_store(settings, Access::kRead);
  if (!store) return std::unexpected(store.error());
  auto found = find_delivered_batches(**store, query);
  if (!found) return fail(found.error(), Origin::kMetastore);
  return std::move(*found);
}

void print_undelivered(const std::vector<DeliveredBatches::Undelivered>& files, bool as_json) {
  for (const auto& file : files) {
    if (as_json) {
      print_json({{"ok", false}, {"path", file.path}, {"undelivered", file.reason}});
    } else {
      print(fmt::format("not delivered {}  ({})\n", escape_controls(file.path),
                        escape_controls(file.reason)));
    }
  }
}

Outcome<DeliveredBatches> batches_of(const Settings& settings, const Arguments& arguments) {
  if (arguments.positional.empty() && arguments.has("strict")) {
    return fail(make_error(ErrorKind::kInvalid, "--strict needs a control file or a batch's id"));
  }
  if (arguments.positional.empty()) return select_batches(settings, arguments);
  return DeliveredBatches{.ids = arguments.positional, .undelivered = {}};
}

/// A signature lies beside a file that has a name.
Result<void> check_signers(const Arguments& arguments) {
  if (!arguments.has("allowed-signers")) return {};
  if (arguments.positional.empty()) {
    return make_error(ErrorKind::kInvalid, "--allowed-signers needs the names of control files");
  }
  if (std::ranges::find(arguments.positional, "-") == arguments.positional.end()) return {};
  return make_error(ErrorKind::kInvalid,
                    "--allowed-signers cannot find the signature of standard input: write the "
                    "control file to NAME, its signature to NAME.sig, and verify NAME");
}

/// Of a list that is not signed, and has to be, nothing is verified.
Outcome<std::optional<ReceivedControlFile>> obtain_control_file(const std::string& name,
                                                                const Settings& settings,
                                                                const Arguments& arguments,
                                                                const Place& place,
                                                                StopToken& stop) {
  if (const auto allowed = arguments.last("allowed-signers")) {
    return read_signed(name, *allowed, stop);
  }
  auto found = find_control_file(name, settings, place, stop);
  if (!found) return std::unexpected(found.error());
  return std::optional(std::move(*found));
}

/// True if everything is right.
Outcome<bool> verify_batch(const ReceivedControlFile& control, const Place& place,
                           const transfer::VerifyOptions& options, bool as_json, StopToken& stop) {
  const auto verification = verify(control, place, options, stop);
  if (!verification) return std::unexpected(verification.error());
  if (as_json) {
    print_as_json(control, place, *verification);
  } else {
    print_result(control, place, *verification);
  }
  return verification->findings.empty();
}

Outcome<ExitStatus> run_verify(const Invocation& invocation) {
  const auto arguments = with_one_destination(invocation.arguments);
  if (!arguments) return fail(arguments.error());
  if (const auto checked = check_signers(*arguments); !checked) return fail(checked.error());
  const auto settings = effective_settings(*arguments);
  if (!settings) return fail(settings.error());
  const auto idle = idle_status(*arguments);
  if (!idle) return fail(idle.error());
  const auto place = find_place(*settings, *arguments);
  if (!place) return fail(place.error());
  const auto batches = batches_of(*settings, *arguments);
  if (!batches) return std::unexpected(batches.error());
  if (batches->ids.empty() && batches->undelivered.empty()) return *idle;

  const auto options = verify_options(*arguments);
  const bool as_json = arguments->has("json");
  print_undelivered(batches->undelivered, as_json);
  bool all_right = batches->undelivered.empty();
  for (const std::string& name : batches->ids) {
    const auto control = obtain_control_file(name, *settings, *arguments, *place, invocation.stop);
    if (!control) return std::unexpected(control.error());
    all_right = all_right && control->has_value();
    if (!*control) continue;
    const auto right = verify_batch(**control, *place, options, as_json, invocation.stop);
    if (!right) return std::unexpected(right.error());
    all_right = all_right && *right;
  }
  return all_right ? ExitStatus::kDone : ExitStatus::kSomeFailed;
}

}  // namespace

Command verify_command() {
  return {
      .name = "verify",
      .bit = kVerifyBit,
      .summary = "check that what a control file lists is there, and right",
      .positional = "[CONTROL_FILE|BATCH_ID...]",
      .max_positional = static_cast<std::size_t>(-1),
      .description =
          "At the receiver, with --root: reads every listed file and compares size and checksum.\n"
          "Needs neither metastore nor configuration.\n"
          "At the sender, with --destination or --to: compares the sizes that the server tells,\n"
          "or with --readback the checksums of what it gives back.\n"
          "The control file is a local file, '-' for standard input, or a batch's id: then the\n"
          "metastore's copy is read, or the one in the destination's control directory.\n"
          "Without one: the batches that the flags below select in the metastore; what agents\n"
          "tried and failed to deliver is then wrong too.\n"
          "Ends with exit code 1 if anything is missing, short, changed or unreadable.",
      .flags =
          {{"root", "DIR", "the directory that the listed paths start at"},
           {"destination", "NAME", "a configured destination"},
           {"readback", "", "read the files at the destination and compare checksums"},
           {"allowed-signers", "FILE",
            "the control file must be signed, beside it as NAME.sig, by somebody in this list: "
            "see ssh-keygen(1)"},
           {"strict", "",
            "files there that are not listed are wrong too; needs a control file or a batch"},
           {"date", "DAY", "batches with files registered on this day"},
           {"since", "TIME", "batches with files registered at or after this time, or 2h ago"},
           {"until", "TIME", "batches with files updated before this time"},
           {"delivered-since", "TIME", "batches delivered at or after this time"},
           {"json", "", "print the result as JSON, one object a line"},
           {kIdleExitCode, "N", "exit with this code if nothing is selected"}},
      .exits = {{ExitStatus::kDone, "all is there and right, or nothing is selected"},
                {ExitStatus::kSomeFailed,
                 "something is missing, short, changed, unreadable, undelivered or not signed"},
                {ExitStatus::kUsage},
                {ExitStatus::kDestination},
                {ExitStatus::kMetastore},
                {ExitStatus::kInterrupted}},
      .run = &run_verify};
}

}  // namespace ferry::app
