#include "app/delivery/transfer_ending.h"

#include <fmt/format.h>

#include "ferry/base/json.h"
#include "ferry/base/text.h"

#include "app/output.h"
#include "app/report/standings.h"
#include "ferry/base/units.h"

namespace ferry::app {
namespace {

Json to_json(const transfer::BatchSummary& batch) {
  return {{"batch_id", batch.id},       {"control_file", batch.control_file},
          {"selected", batch.selected}, {"successful", batch.successful},
          {"failed", batch.failed},     {"skipped", batch.skipped},
          {"bytes", batch.bytes},       {"duration_ms", batch.duration.count()}};
}

std::string to_text(const transfer::BatchSummary& batch) {
  const std::string_view listed_in = batch.control_file;
  return "  " +
         escape_controls(fmt::format(
             "batch {}: {} of {} files, {} in {}; {}", batch.id, batch.successful, batch.selected,
             human_size(static_cast<double>(batch.bytes)), human_duration(batch.duration),
             listed_in.empty() ? "no control file" : listed_in)) +
         "\n";
}

/// The only one, if there is only one.
const transfer::BatchSummary* only_batch(const transfer::TransferSummary& summary) {
  return summary.batches.size() == 1 ? &summary.batches.front() : nullptr;
}

Json to_json(const TransferEnding& ending) {
  const transfer::TransferSummary& summary = ending.summary;
  const transfer::BatchSummary* only = only_batch(summary);
  Json batches = Json::array();
  for (const transfer::BatchSummary& batch : summary.batches) batches.push_back(to_json(batch));
  Json json{{"destination", ending.destination},
            {"batch_id", only != nullptr ? only->id : ""},
            {"control_file", only != nullptr ? only->control_file : ""},
            {"batches", std::move(batches)},
            {"selected", summary.selected},
            {"successful", summary.successful},
            {"failed", summary.failed},
            {"skipped", summary.skipped},
            {"unlisted", summary.unlisted},
            {"given_up", ending.left_out.given_up},
            {"not_yet", ending.left_out.not_yet},
            {"elsewhere", ending.elsewhere},
            {"stopped", summary.was_stopped},
            {"bytes", summary.bytes},
            {"sent_bytes", ending.sent},
            {"duration_ms", summary.duration.count()}};
  const auto& hindrance = summary.lost ? summary.lost : summary.unreadable;
  if (const auto& error = ending.failure ? ending.failure->error : hindrance) {
    json["error"] = {{"kind", to_string(error->kind)}, {"message", error->message}};
  }
  return json;
}

std::string to_text(const TransferEnding& ending) {
  const transfer::TransferSummary& summary = ending.summary;
  const std::string left_alone =
      summary.unreadable ? fmt::format("; a batch was left alone: {}", summary.unreadable->message)
                         : std::string();
  if (summary.selected + summary.unlisted == 0) {
    const std::string elsewhere =
        ending.elsewhere > 0 ? fmt::format("; {} with another run", ending.elsewhere) : "";
    return escape_controls(fmt::format("{}: nothing to do{}{}{}", ending.destination, elsewhere,
                                       to_text(ending.left_out), left_alone)) +
           "\n";
  }
  const double seconds = static_cast<double>(summary.duration.count()) / 1000;
  std::string text =
      fmt::format("{}: {} of {} files delivered, {} in {}", ending.destination, summary.successful,
                  summary.selected, human_size(static_cast<double>(summary.bytes)),
                  human_duration(summary.duration));
  const double sent = static_cast<double>(ending.sent);
  if (ending.sent < summary.bytes)
    text += fmt::format(", {} of it sent by this run", human_size(sent));
  if (seconds > 0) text += fmt::format(" ({}/s)", human_size(sent / seconds));
  if (summary.failed > 0) text += fmt::format("; {} failed", summary.failed);
  if (summary.skipped > 0) {
    text += fmt::format("; {} skipped: the destination has other files of these names",
                        summary.skipped);
  }
  if (summary.unlisted > 0) {
    text += fmt::format("; {} delivered that no control file lists yet: the next run does that",
                        summary.unlisted);
  }
  if (summary.was_stopped) text += "; stopped";
  if (summary.lost) text += "; the destination could not be reached any more";
  text += to_text(ending.left_out) + left_alone;
  if (const auto* only = only_batch(summary); only != nullptr && !only->control_file.empty()) {
    text += fmt::format("; {}", only->control_file);
  } else if (summary.batches.size() > 1) {
    text += fmt::format("; {} batches", summary.batches.size());
  }
  text = escape_controls(text) + "\n";
  if (summary.batches.size() > 1) {
    for (const transfer::BatchSummary& batch : summary.batches) text += to_text(batch);
  }
  return text;
}

}  // namespace

std::string to_text(const LeftOut& left_out) {
  std::string text;
  if (left_out.given_up > 0) {
    text += fmt::format("; {} given up ({})", left_out.given_up, kAboutGivenUp);
  }
  if (left_out.in_no_area > 0) {
    text += fmt::format("; {} in no landing area ('ferry list --status unrouted' says why)",
                        left_out.in_no_area);
  }
  if (left_out.not_yet > 0) {
    text += fmt::format("; {} asked for and not delivered: with another run, or not due yet",
                        left_out.not_yet);
  }
  return text;
}

ExitStatus status_of(const TransferEnding& ending) {
  if (ending.failure) return exit_status_for(*ending.failure);
  if (ending.summary.unreadable) {
    return exit_status_for({Origin::kMetastore, *ending.summary.unreadable});
  }
  if (ending.summary.lost) return ExitStatus::kDestination;
  const bool all_done =
      ending.summary.failed + ending.summary.unlisted == 0 && ending.left_out == LeftOut{};
  return all_done ? ExitStatus::kDone : ExitStatus::kSomeFailed;
}

ExitStatus status_of(const std::vector<TransferEnding>& endings, ExitStatus idle) {
  ExitStatus status = ExitStatus::kDone;
  std::uint64_t files = 0;
  for (const TransferEnding& ending : endings) {
    status = worse_of(status, status_of(ending));
    files += ending.summary.selected + ending.elsewhere;
  }
  return status == ExitStatus::kDone && files == 0 ? idle : status;
}

Json to_json(const std::vector<TransferEnding>& endings) {
  Json all = Json::array();
  for (const TransferEnding& ending : endings) all.push_back(to_json(ending));
  return all;
}

void print_endings(const std::vector<TransferEnding>& endings, const Untaken& untaken,
                   bool as_json) {
  if (as_json) {
    print_json({{"destinations", to_json(endings)}, {"untaken", untaken.files}});
    return;
  }
  for (const TransferEnding& ending : endings) {
    const bool is_told_by_its_end =
        ending.failure || (ending.summary.was_stopped && ending.summary.selected == 0);
    if (!is_told_by_its_end) print(to_text(ending));
  }
  if (untaken.files > 0) print(untaken.to_text() + "\n");
}

}  // namespace ferry::app
