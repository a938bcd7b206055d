#include <array>
#include "ferry/base/json.h"
#include "ferry/base/text.h"

#include "app/commands/command.h"
#include "app/commands/doctor_checks.h"
#include "app/config/landing_areas.h"
#include "app/config/setup.h"
#include "app/config/usual_places.h"
#include "app/output.h"
#include "app/terminal_person.h"

namespace ferry::app {
namespace {

std::string_view to_string(Health health) {
  static constexpr std::array<std::string_view, 3> kNames{"well", "note", "trouble"};
  return kNames.at(static_cast<std::size_t>(health));
}

void print_text(const Examination& examination) {
  std::string_view subject;
  for (const Diagnosis& one : examination.diagnoses()) {
    if (one.subject != subject) print(escape_controls(one.subject) + "\n");
    subject = one.subject;
    print(fmt::format("  {:<8} {}: {}\n", to_string(one.health), one.check,
                      escape_controls(one.message)));
    if (!one.cure.empty()) print(fmt::format("           fix: {}\n", escape_controls(one.cure)));
  }
  print(examination.is_well() ? "all is well\n" : "not all is well\n");
}

void print_as_json(const Examination& examination) {
  Json findings = Json::array();
  for (const Diagnosis& one : examination.diagnoses()) {
    findings.push_back({{"subject", one.subject},
                        {"check", one.check},
                        {"health", to_string(one.health)},
                        {"message", one.message},
                        {"fix", one.cure}});
  }
  print_json({{"ok", examination.is_well()}, {"findings", std::move(findings)}});
}

Outcome<ExitStatus> run_doctor(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  ask_at_terminal(invocation.stop);
  Examination examination(invocation.stop);
  examination.configuration(configuration_file(arguments));
  if (examination.is_well()) {
    const auto settings = effective_settings(arguments);
    if (!settings) return fail(settings.error());
    examination.metastore(*settings, arguments.has("index"));
    examination.landing_areas(*settings);
    examination.routes(*settings);
    examination.destinations(*settings);
  }
  if (invocation.stop.stop_requested()) {
    return fail(make_error(ErrorKind::kCancelled, "stopped"));
  }
  if (arguments.has("json")) {
    print_as_json(examination);
  } else {
    print_text(examination);
  }
  return examination.status();
}

}  // namespace

Command doctor_command() {
  return {
      .name = "doctor",
      .bit = kDoctorBit,
      .summary = "look for trouble everywhere, and say what to fix",
      .positional = "",
      .description =
          "Tests the configuration, the metastore, the landing areas, and each destination from\n"
          "its host's name to the rename of a file. At a destination it makes two small files,\n"
          "called .ferry-doctor.*, and removes them. Notes are worth knowing; trouble has to be\n"
          "fixed, and makes the exit code: 2 for the configuration, 3 for a destination, 4 for\n"
          "the metastore, 1 for anything else.",
      .flags = {{"index", "",
                 "also compare the metastore's index with its tables, which reads all"},
                {"json", "", "print the findings as JSON"}},
      .exits = {{ExitStatus::kDone, "all is well, but for notes"},
                {ExitStatus::kSomeFailed, "trouble elsewhere, as in a landing area"},
                {ExitStatus::kUsage, "trouble with the configuration"},
                {ExitStatus::kDestination, "trouble with a destination"},
                {ExitStatus::kMetastore, "trouble with the metastore"},
                {ExitStatus::kInterrupted}},
      .run = &run_doctor};
}

}  // namespace ferry::app
