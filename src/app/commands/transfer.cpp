#include <algorithm>

#include "app/commands/command.h"
#include "app/commands/whole.h"
#include "app/config/open_store.h"
#include "app/config/selection.h"
#include "app/delivery/transfer_following.h"
#include "app/delivery/transfer_plan.h"
#include "app/delivery/transfer_preview.h"
#include "app/delivery/transfer_run.h"
#include "ferry/base/units.h"

namespace ferry::app {
namespace {

Result<std::chrono::milliseconds> exit_when_idle(const Arguments& arguments) {
  const bool follows = arguments.has("follow");
  if (follows && (arguments.has("dry-run") || !arguments.positional.empty())) {
    return make_error(ErrorKind::kInvalid,
                      "--follow takes what is registered: give it neither --dry-run nor files");
  }
  if (follows && arguments.has("deadline")) {
    return make_error(ErrorKind::kInvalid,
                      "--deadline is for runs that end: not with --follow (see --exit-when-idle)");
  }
  const auto time = arguments.last("exit-when-idle");
  if (!time) return std::chrono::milliseconds(0);
  if (!follows) return make_error(ErrorKind::kInvalid, "--exit-when-idle belongs to --follow");
  auto parsed = parse_duration(*time);
  if (!parsed) return parsed.error().with_context("--exit-when-idle");
  return std::max(*parsed, std::chrono::milliseconds(1));
}

/// A service may start before the watcher that it works with, by the same configuration.
Access access_of(const Arguments& arguments) {
  if (arguments.has("dry-run")) return Access::kRead;
  const bool is_service = arguments.has("follow") && !arguments.has("metastore");
  return is_service ? Access::kCreate : Access::kWrite;
}

/// Who has no metastore yet has not registered anything.
Failure with_first_step(Failure failure, const Arguments& arguments) {
  if (failure.origin == Origin::kLocal && failure.error.kind == ErrorKind::kNotFound) {
    failure.error.message += fmt::format(
        ". Files are registered before they are delivered: '{}' makes it, and "
        "registers what lies in the landing area",
        registering_command(arguments));
  }
  return failure;
}

Outcome<ExitStatus> run_transfer(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const auto idle = idle_status(arguments);
  if (!idle) return fail(idle.error());
  const auto idle_time = exit_when_idle(arguments);
  if (!idle_time) return fail(idle_time.error());
  auto plan = make_transfer_plan(arguments);
  if (!plan) return std::unexpected(plan.error());
  const bool is_preview = arguments.has("dry-run");
  auto store = open_store_to_work(plan->settings, access_of(arguments));
  if (!store) return std::unexpected(with_first_step(store.error(), arguments));
  (*store)->set_demand(plan->demand());
  if (is_preview) return preview_transfer(*plan, **store, arguments.has("json"), *idle);
  if (!arguments.has("follow")) return deliver_once(*plan, **store, invocation, *idle);
  return deliver_until_stopped(invocation, std::move(*plan), std::move(*store), *idle_time,
                               [&arguments] { return make_transfer_plan(arguments); });
}

}  // namespace

Outcome<ExitStatus> run_following(const Invocation& invocation) {
  auto plan = make_transfer_plan(invocation.arguments);
  if (!plan) return std::unexpected(plan.error());
  auto store = open_store_to_work(plan->settings, Access::kCreate);
  if (!store) return std::unexpected(store.error());
  return deliver_until_stopped(invocation, std::move(*plan), std::move(*store),
                               std::chrono::milliseconds(0),
                               [&invocation] { return make_transfer_plan(invocation.arguments); });
}

Command transfer_command() {
  return {.name = "transfer",
          .bit = kTransferBit,
          .summary = "deliver what is pending",
          .positional = "[PATH|ID...]",
          .max_positional = static_cast<std::size_t>(-1),
          .description =
              "Delivers every registered file that a destination has not got yet, then pushes a\n"
              "control file that lists them with sizes and checksums. With paths or ids: those\n"
              "files only, however often they failed. Without --to: to all configured\n"
              "destinations, side by side. With --follow: again and again, as files are\n"
              "registered, until SIGTERM; SIGHUP reads the configuration again.",
          .flags = {{"date", "DAY",
                     "only files registered on this day: 2026-11-22, today or yesterday"},
                    {"since", "TIME", "only files registered at or after this time, or 2h ago"},
                    {"until", "TIME", "only files registered before this time"},
                    {"follow", "", "keep delivering as files are registered"},
                    {"exit-when-idle", "TIME",
                     "with --follow: end when nothing has been pending for this long"},
                    {"dry-run", "", "print what would be delivered; change nothing"},
                    {"json", "", "print the summary as JSON"},
                    {kIdleExitCode, "N", "exit with this code if there was nothing to do"}},
          .exits = {{ExitStatus::kDone, "all is delivered, or there was nothing to do"},
                    {ExitStatus::kSomeFailed,
                     "some files failed or are given up, or could not be archived or deleted "
                     "afterwards, or the deadline passed; the others are delivered"},
                    {ExitStatus::kUsage},
                    {ExitStatus::kDestination},
                    {ExitStatus::kMetastore},
                    {ExitStatus::kInterrupted}},
          .run = &run_transfer};
}

}  // namespace ferry::app
