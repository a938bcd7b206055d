#include "app/config/config_init.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <boost/filesystem/operations.hpp>
#include <set>

#include "app/config/config_file.h"
#include "app/config/connections.h"
#include "app/config/landing_areas.h"
#include "app/config/setup.h"
#include "app/config/text.h"
#include "app/config/usual_places.h"
#include "app/output.h"
#include "app/terminal_person.h"
#include "ferry/base/file.h"
#include "ferry/base/text.h"
#include "ferry/transfer/probe.h"

namespace ferry::app {
namespace {

std::string key(std::string_view name, const std::string& value) {
  return fmt::format("{} = {}\n", name, toml_string(value));
}

std::string keys(std::string_view name, const std::vector<fs::path>& values) {
  std::string list;
  for (const fs::path& value : values) {
    list += (list.empty() ? "" : ", ") + toml_string(value.string());
  }
  return values.empty() ? "" : fmt::format("{} = [{}]\n", name, list);
}

std::string text_of(const Settings& settings) {
  const LandingSettings& landing = settings.landings.front();
  const DestinationSettings& destination = settings.destinations.front();
  std::string text =
      "# What ferry watches, and where it delivers. 'man ferry.toml' and 'ferry config show' have\n"
      "# all keys; 'ferry config check' finds mistakes.\n\n"
      "# Where it is written down what landed and what became of it.\n";
  text += key("metastore", settings.general.metastore.text);
  text +=
      "\n# Files are taken from here once nobody writes them any more; dot files, *.tmp and\n"
      "# *.part never.\n[landing.in]\n";
  text += key("path", landing.path.string());
  text +=
      "# ignore = [\"*.bak\"]\n"
      "\n# And delivered here. Each gets its name in one step; a control file follows.\n"
      "[destination.out]\n";
  text += key("url", destination.url.to_string());
  text += keys("identity", destination.identity);
  text += keys("known_hosts", destination.known_hosts);
  if (!destination.use_agent) text += "use_agent = false\n";
  if (!destination.password_file.empty()) {
    text += key("password_file", destination.password_file.string());
  }
  if (!destination.passphrase_file.empty()) {
    text += key("passphrase_file", destination.passphrase_file.string());
  }
  if (destination.legacy_algorithms) text += "legacy_algorithms = true\n";
  if (destination.transport == TransportSetting::kOpenSsh) text += key("transport", "openssh");
  if (destination.transport == TransportSetting::kLibssh2) text += key("transport", "libssh2");
  text +=
      "\n# Without a route every file goes to every destination, as it is; see docs/routes.md.\n"
      "# [route.csv]\n# match = [\"*.csv\"]\n# to = [\"out\"]\n# after = \"archive\"\n"
      "# archive = \"/srv/archive\"\n";
  return text;
}

/// What the flags do not say is asked for.
Result<Arguments> completed(Arguments arguments, const StopToken& stop) {
  const auto complete = [&](const char* flag, const char* question, const std::string& fallback) {
    if (arguments.has(flag)) return true;
    const std::string answer = answer_to(question, fallback, stop);
    if (!answer.empty()) arguments.flags[flag] = {answer};
    return !answer.empty();
  };
  if (!complete("landing", "Directory where files arrive", "")) {
    return make_error(ErrorKind::kInvalid, "give --landing DIR: where files arrive");
  }
  if (!complete("to", "Where to deliver (sftp://user@host:port/dir)", "")) {
    return make_error(ErrorKind::kInvalid, "give --to sftp://user@host:port/dir");
  }
  return arguments;
}

/// Whatever else is given would be lost.
Result<void> check_flags(const Arguments& arguments) {
  static const std::set<std::string_view> kKnown{
      "config",      "metastore",  "landing",           "to",        "identity",
      "known-hosts", "no-agent",   "password-file",     "transport", "passphrase-file",
      "log-level",   "log-format", "legacy-algorithms", "help",      "accept-new-host-key"};
  for (const auto& [flag, values] : arguments.flags) {
    if (kKnown.contains(flag)) continue;
    return make_error(ErrorKind::kInvalid,
                      "init does not write --{}: add it to the file afterwards ('man ferry.toml')",
                      flag);
  }
  return {};
}

/// Connects and tries what deliveries need; false if something is in the way.
Outcome<ExitStatus> try_out(const Settings& settings, StopToken& stop) {
  ask_at_terminal(stop);
  const auto destination = resolve_destination(settings.destinations.front(), settings.transfer);
  if (!destination) return fail(destination.error());
  ExitStatus status = ExitStatus::kDone;
  for (const auto& step : transfer::probe_destination(*destination, 0, stop)) {
    if (step.health == transfer::Health::kWell) continue;
    const bool is_trouble = step.health == transfer::Health::kTrouble;
    if (is_trouble) status = ExitStatus::kDestination;
    print(fmt::format("{}: {}: {}{}\n", is_trouble ? "trouble" : "note", step.name,
                      escape_controls(step.message),
                      step.cure.empty() ? "" : "; " + escape_controls(step.cure)));
  }
  if (status == ExitStatus::kDone) {
    print(fmt::format("{}: login, writing, renaming and removing work\n",
                      settings.destinations.front().url.to_string()));
  }
  return status;
}

Result<void> write_new(const fs::path& file, const std::string& text) {
  if (auto made = make_directories(file.parent_path()); !made) return made;
  const auto fd = open_file(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (!fd) return fd.error();
  return write_full(fd->get(), as_bytes(text), file);
}

}  // namespace

Outcome<ExitStatus> init_configuration(const Invocation& invocation) {
  const auto given = invocation.arguments.last("config");
  boost::system::error_code ignored;
  const fs::path file = given ? absolute_path(*given) : own_configuration_file();
  if (file.empty()) return fail(make_error(ErrorKind::kInvalid, "give --config FILE"));
  if (fs::exists(file, ignored)) {
    return fail(make_error(ErrorKind::kInvalid,
                           "{} is there already: edit it, or name another with --config FILE",
                           file.string()));
  }
  if (const auto known = check_flags(invocation.arguments); !known) return fail(known.error());
  auto arguments = completed(invocation.arguments, invocation.stop);
  if (!arguments) return fail(arguments.error());
  arguments->flags.insert_or_assign("config", std::vector<std::string>{"/dev/null"});
  const auto settings = effective_settings(*arguments);
  if (!settings) return fail(settings.error());
  if (settings->landings.size() != 1 || std::ranges::empty(local_landings(*settings)) ||
      settings->destinations.size() != 1) {
    return fail(make_error(ErrorKind::kInvalid,
                           "init writes of one directory and one destination: add others to the "
                           "file"));
  }
  if (const auto checked = check_landings(*settings); !checked) return fail(checked.error());
  auto status = try_out(*settings, invocation.stop);
  if (!status) return status;
  if (const auto written = write_new(file, text_of(*settings)); !written) {
    return fail(written.error());
  }
  const std::string named = given ? " --config " + quoted_for_shell(file.string()) : "";
  print(fmt::format("{} is written; next: 'ferry watch --once{}', 'ferry transfer{}'\n",
                    file.string(), named, named));
  return status;
}

}  // namespace ferry::app
