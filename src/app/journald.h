// Events as systemd's journal keeps them: a message, a priority, and every field by its name.
//
//   journalctl FERRY_FILE_ID=0193…        journalctl FERRY_PATH="in/a b.csv" -o verbose
//
// Names: FERRY_EVENT, and FERRY_ with the field's key in capitals; `id` is FERRY_FILE_ID.
#pragma once

#include <string>
#include <vector>

#include "ferry/base/log.h"

namespace ferry::app {

/// "NAME=value" for each field of ENTRY (systemd.journal-fields(7)).
std::vector<std::string> journal_fields(const log::Entry& entry);

/// Sends the log to the journal where stderr is connected to it (JOURNAL_STREAM in
/// systemd.exec(5)), else leaves it. True if it does.
bool log_to_journal_if_connected();

}  // namespace ferry::app
